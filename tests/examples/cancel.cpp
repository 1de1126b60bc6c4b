// Cancels one order with libzmq and nothing else: `cancel ENDPOINT ORDER_ID`. Build: g++ -std=c++17 cancel.cpp -lzmq
//
// Prints the outcome. Exit status: 0 with an answer, 1 without one; an order without an answer is to be treated as live.

#include <ctime>
#include <iostream>
#include <string>
#include <unistd.h>
#include <zmq.h>

constexpr int kConnectMs = 500;
constexpr int kDeadlineMs = 1000;
// The daemon answers within the deadline, with `unknown` at the worst; its answer gets a little longer.
constexpr int kAnswerMs = kDeadlineMs + 400;

// CLOCK_MONOTONIC, which the daemon reads too.
static long long monotonic_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

static std::string quoted(const std::string &text) {
    std::string json = "\"";
    for (const char one : text) {
        if (one == '"' || one == '\\') json += '\\';
        json += one;
    }
    return json + '"';
}

// The text of a member, or nothing. A quote inside a string is escaped, so a member's name is found nowhere else.
static std::string member(const std::string &json, const std::string &name) {
    const std::string begin = quoted(name) + ":\"";
    const auto at = json.find(begin);
    if (at == std::string::npos) return "";
    const auto from = at + begin.size();
    return json.substr(from, json.find('"', from) - from);
}

static int fail(const std::string &why) {
    std::cerr << why << '\n';
    return 1;
}

static int cancel(void *socket, const std::string &endpoint, const std::string &order_id) {
    const auto set = [socket](int option, int value) { zmq_setsockopt(socket, option, &value, sizeof value); };
    set(ZMQ_LINGER, 0);     // ends at once, and takes along what was not sent
    set(ZMQ_IMMEDIATE, 1);  // nothing is queued for a daemon that is down, and carried out when it is back
    set(ZMQ_SNDTIMEO, kConnectMs);
    set(ZMQ_RCVTIMEO, kAnswerMs);
    if (zmq_connect(socket, endpoint.c_str()) != 0) return fail(endpoint + ": " + zmq_strerror(zmq_errno()));

    const auto sent_ns = std::to_string(monotonic_ns());
    // An id of its own for each command: the same id gets the same answer.
    const auto id = "cpp-" + std::to_string(getpid()) + "-" + sent_ns;
    // The deadline counts from sent_ns, wherever the command waited since.
    const auto command = R"({"type":"cancel","venue":"spot","id":)" + quoted(id) + ",\"order_id\":" + quoted(order_id) +
                         ",\"deadline_ms\":" + std::to_string(kDeadlineMs) + ",\"sent_ns\":" + sent_ns + "}";
    if (zmq_send(socket, command.data(), command.size(), 0) < 0)
        return fail("no daemon at " + endpoint + ": nothing was sent");

    zmq_msg_t reply;
    zmq_msg_init(&reply);
    const bool answered = zmq_msg_recv(&reply, socket, 0) >= 0;
    const std::string json(static_cast<char *>(zmq_msg_data(&reply)), zmq_msg_size(&reply));
    zmq_msg_close(&reply);
    if (!answered) return fail("no answer for " + order_id + ": treat it as live");
    std::cout << member(json, "outcome") << '\n';
    return 0;
}

int main(int count, char **words) {
    if (count != 3) return fail("usage: cancel ENDPOINT ORDER_ID");
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    const int status = cancel(socket, words[1], words[2]);
    zmq_close(socket);
    zmq_ctx_term(context);
    return status;
}

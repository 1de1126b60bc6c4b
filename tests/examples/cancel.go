// Cancels one order with libzmq and the standard library alone: `cancel ENDPOINT ORDER_ID`. Build: go build cancel.go
//
// Prints the outcome. Exit status: 0 with an answer, 1 without one; an order without an answer is to be treated as live.
package main

// #cgo LDFLAGS: -lzmq
// #include <stdlib.h>
// #include <time.h>
// #include <zmq.h>
//
// static long long monotonic_ns(void) {
//     struct timespec now;
//     clock_gettime(CLOCK_MONOTONIC, &now);
//     return now.tv_sec * 1000000000LL + now.tv_nsec;
// }
import "C"

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

const (
	connectMs  = 500
	deadlineMs = 1000
	// The daemon answers within the deadline, with `unknown` at the worst; its answer gets a little longer.
	answerMs = deadlineMs + 400
)

type command struct {
	Type       string `json:"type"`
	ID         string `json:"id"`
	Venue      string `json:"venue"`
	OrderID    string `json:"order_id"`
	DeadlineMs int    `json:"deadline_ms"`
	SentNs     int64  `json:"sent_ns"`
}

type reply struct {
	Outcome string `json:"outcome"`
}

func set(socket unsafe.Pointer, option C.int, value C.int) {
	C.zmq_setsockopt(socket, option, unsafe.Pointer(&value), C.size_t(unsafe.Sizeof(value)))
}

// done makes a call again that one of the Go runtime's own signals ended, and tells whether it went well.
func done(call func() (C.int, error)) bool {
	for {
		count, err := call()
		if count >= 0 || err != syscall.EINTR {
			return count >= 0
		}
	}
}

func cancel(socket unsafe.Pointer, endpoint, orderID string) (string, error) {
	set(socket, C.ZMQ_LINGER, 0)    // ends at once, and takes along what was not sent
	set(socket, C.ZMQ_IMMEDIATE, 1) // nothing is queued for a daemon that is down, and carried out when it is back
	set(socket, C.ZMQ_SNDTIMEO, connectMs)
	set(socket, C.ZMQ_RCVTIMEO, answerMs)
	name := C.CString(endpoint)
	defer C.free(unsafe.Pointer(name))
	if failed, err := C.zmq_connect(socket, name); failed != 0 {
		return "", fmt.Errorf("%s: %w", endpoint, err)
	}
	// The deadline counts from here, wherever the command waited since. It is CLOCK_MONOTONIC, as the daemon's own is.
	sentNs := int64(C.monotonic_ns())
	// An id of its own for each command: the same id gets the same answer.
	id := fmt.Sprintf("go-%d-%d", os.Getpid(), sentNs)
	sent, err := json.Marshal(command{"cancel", id, "spot", orderID, deadlineMs, sentNs})
	if err != nil {
		return "", err
	}
	if !done(func() (count C.int, err error) {
		count, err = C.zmq_send(socket, unsafe.Pointer(&sent[0]), C.size_t(len(sent)), 0)
		return
	}) {
		return "", fmt.Errorf("no daemon at %s: nothing was sent", endpoint)
	}
	var message C.zmq_msg_t
	C.zmq_msg_init(&message)
	defer C.zmq_msg_close(&message)
	if !done(func() (count C.int, err error) {
		count, err = C.zmq_msg_recv(&message, socket, 0)
		return
	}) {
		return "", fmt.Errorf("no answer for %s: treat it as live", orderID)
	}
	var told reply
	err = json.Unmarshal(C.GoBytes(C.zmq_msg_data(&message), C.int(C.zmq_msg_size(&message))), &told)
	return told.Outcome, err
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: cancel ENDPOINT ORDER_ID")
		os.Exit(1)
	}
	context := C.zmq_ctx_new()
	socket := C.zmq_socket(context, C.ZMQ_DEALER)
	outcome, err := cancel(socket, os.Args[1], os.Args[2])
	C.zmq_close(socket)
	C.zmq_ctx_term(context)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(outcome)
}

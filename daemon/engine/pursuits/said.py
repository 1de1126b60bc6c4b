"""The states of a pursuit: what the venue has said of its cancel, as far as it still holds, and what follows.

NOTHING   an answer may come, or never did.
    ack             ACCEPTED; each waiter without proof is answered `acked`
    no such order   DENIED; its state is asked for, and it is sent again while it may not be there yet
    other refusal   its row in `reactions.RULES`
    silence         the next untried lane beside this one; with none left its state is asked for
    lane lost       in doubt; the next lane at once, or any lane after a pause; without REST its state is asked for too
    order ended     `canceled` or `closed` to those who named the order; ENDED for those who named it by client order id
    order opened    sent, if it waited for its symbol
    query: rests    what was silent is given up, and it is sent again
    query: absent   noted
    deadline        nothing has left: `refused`; a request is out or in doubt: `unknown`; else `rejected`
ACCEPTED  the venue will cancel; only waiters for proof are left.
    ack             counted as repeated
    no such order   of the very request that was accepted: taken back, in doubt, then as in NOTHING; else ignored
    other refusal   the same; and where `acked` was told, that is corrected and an alert raised
    silence         none is listened for
    lane lost       nothing is missed
    order ended     `canceled` or `closed`; those who asked by name after the accepted request had left go on by name
    order opened    ignored: it is another order, or old news
    query: rests    taken back, in doubt; sent again
    query: absent   noted: absence is no proof; by client order id it is a list of what has ended that is asked for
    deadline        `unknown`, "accepted by the venue, but no proof came"
DENIED    the venue knows no such open order.
    ack             ACCEPTED
    no such order   the later denial counts
    other refusal   THROTTLED weighs the order, so it is there: NOTHING; else its row
    silence         none is listened for between tries
    lane lost       in doubt; as in NOTHING
    order ended     as in NOTHING
    order opened    sent as soon as a lane may take it: the cancel had overtaken its order
    query: rests    conclude
    query: absent   conclude
    deadline        the window is over and no stream shows it: `not_open` or `closed`; else `unknown`
ENDED     the order that bore the client order id has ended; a request of ours that is still out may be for it.
    ack             that order was meant: its end to those who asked before the request left; the others go on by name
    no such order   no request of ours ended it; the name is followed
    other refusal   the name is followed
    silence         the name is followed
    lane lost       the name is followed
    order ended     it was the next one under the name: its end counts for both
    order opened    it is the next one under the name: nothing is sent while a request is out
    query: rests    old news: the name is followed once no request is out
    query: absent   noted
    deadline        `unknown`

*Conclude*: those whose window is over, with no query out, are told that no such order is open. *The name is followed*:
it goes on as NOTHING or DENIED, for the next order under the name.

tests/engine/pursuits/test_table.py walks every cell, and the seeds of each commit print how often each was met.
"""

import enum


class Said(enum.Enum):
    """What the venue has said of a pursuit's cancel, as far as it still holds."""

    NOTHING = "nothing that still holds"
    ACCEPTED = "it will cancel"
    DENIED = "it knows no such open order"
    ENDED = "the order that bore the client order id has ended; it is open whether the waiters meant that order"


NOTHING, ACCEPTED, DENIED, ENDED = Said
"""Its members under names of their own: reading them off the class would cost the plain cancel a tenth of its ack."""

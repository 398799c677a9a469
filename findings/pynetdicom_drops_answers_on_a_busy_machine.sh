#!/usr/bin/env bash
# pynetdicom 3.0.4: of two requests in a row, the second can lose its answer. `send_c_echo`, `send_c_store` and the others
# pause the thread of the association ("reactor"), so that it does not take the answer from the queue that both read.
# After an answer they wake it. Until it runs, its flag still says paused. The next request trusts the flag; the thread
# runs, takes the answer, and drops it as "unexpected". The sender waits until its DIMSE timeout, and aborts.
#
# Here the two threads are delayed as a busy machine may delay them: the reactor between its wake-up and the flag, the
# sender between request and answer. The peer has answered 0000, and the sender reports no status.
#
#     bash findings/pynetdicom_drops_answers_on_a_busy_machine.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" pynetdicom==3.0.4 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import threading
import time

from pynetdicom import AE, evt
from valid_dicom import settle

ECHO = "1.2.840.10008.1.1"


class Checkpoint(threading.Event):
    """Where the reactor waits while it is paused; once woken it is late, until `run` is set."""

    run, rounds = threading.Event(), 0

    def wait(self, timeout=None):
        self.rounds += 1
        super().wait(timeout)
        return self.run.wait(60)


def until(true):
    while not true():
        time.sleep(0.01)


def send_slowly(request, context):
    answered.clear()
    send(request, context)
    answered.wait(60)
    if second:
        checkpoint.run.set()
        until(lambda: checkpoint.rounds > 1)


def receive_and_tell(primitive):
    receive(primitive)
    answered.set()


given, answered, second = [], threading.Event(), False
peer = AE()
peer.add_supported_context(ECHO)
echoed = (evt.EVT_C_ECHO, lambda event: given.append(0x0000) or 0x0000)
server = peer.start_server(("127.0.0.1", 0), block=False, evt_handlers=[echoed])
sender = AE()
sender.dimse_timeout = 1
sender.add_requested_context(ECHO)
association = sender.associate("127.0.0.1", server.server_address[1])
association._reactor_checkpoint = checkpoint = Checkpoint()
until(lambda: checkpoint.rounds)
send, receive = association.dimse.send_msg, association.dimse.receive_primitive
association.dimse.send_msg, association.dimse.receive_primitive = send_slowly, receive_and_tell

first = association.send_c_echo()
second = True
lost = association.send_c_echo()
print(f"the peer answered {given}; the sender got {first.get('Status')} and {lost.get('Status')}")
server.shutdown()
settle(given == [0, 0] and first.get("Status") == 0 and "Status" not in lost)
PYTHON

# SPDX-License-Identifier: Apache-2.0
# Sample programs: an application that uses libvow, and the receiver that it posts to.

EXAMPLES += examples/webhook_worker examples/webhook_receiver
MAINS    += examples/webhook_worker.c examples/webhook_receiver.c

examples/webhook_worker_MAIN   := examples/webhook_worker.c
examples/webhook_receiver_MAIN := examples/webhook_receiver.c

$(B)/examples/webhook_worker: $(B)/libvow.a

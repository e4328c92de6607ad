/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The program that sees requests of io_uring as they are submitted. What is noted of them is another
 * thing for those who see socket calls (uring_waiting.h) than for those who see completions
 * (uring_calls.h): who includes this includes one of them too. Kernel side.
 */
#ifndef VOW_BPF_URING_ASKED_H
#define VOW_BPF_URING_ASKED_H

#include "bpf/http_io.h"
#include "bpf/uring.h"

static void uring_note(__u64 request, __u8 opcode);

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(http_uring_asked, struct io_kiocb *request)
{
	__u8 opcode = request->opcode;
	__u64 began;

	if (!uring_moves(opcode) || !capturing)
		return 0;
	began = cost_begin(HTTP_COST_URING_ASKED);
	uring_note((__u64)request, opcode);
	if (began)
		cost_end(HTTP_COST_URING_ASKED, began);
	return 0;
}

#endif

/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * HTTP/1 within TLS, of processes whose calls of OpenSSL are probed: what SSL_read gave and
 * SSL_write took, in the clear. What is known of a connection lies in a table by process and SSL;
 * which socket it goes by, tls_link.h finds, on the side of the socket programs.
 *
 * What they do to a connection is in http_io.h, compiled once more; maps are those of the socket
 * programs, which also see such a connection end with its socket.
 * Another task may take the processor from a probe: so nothing here is kept by processor.
 */
#define SOCKETS_FOUND
#define PROBED_CALLS
#include "bpf/http_io.h"
#include "bpf/kernel.h"
#include "bpf/tls_call.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TRIES_MAX 64 /* calls without a request, before an SSL is left to its turns */

/* ---- the registers of a call ------------------------------------------------------------------- */

#if defined(__TARGET_ARCH_x86)
#define FIRST(regs)  ((regs)->di)
#define SECOND(regs) ((regs)->si)
#define FOURTH(regs) ((regs)->cx)
#define RESULT(regs) ((regs)->ax)
#else
#define FIRST(regs)  ((regs)->regs[0])
#define SECOND(regs) ((regs)->regs[1])
#define FOURTH(regs) ((regs)->regs[3])
#define RESULT(regs) ((regs)->regs[0])
#endif

static __always_inline bool call_reads(__u32 call)
{
	return call == TLS_READ || call == TLS_READ_EX;
}

static __always_inline bool call_writes(__u32 call)
{
	return call == TLS_WRITE || call == TLS_WRITE_EX;
}

/* ---- bytes in the clear ------------------------------------------------------------------------ */

/* Until a request begins, turns count; then the pairs of this connection do. */
static __always_inline void conn_take(struct tls_conn *tc, struct socket_call *call)
{
	socket_call_payload(call);
	if (request_seen(call)) {
		tc->taken = TLS_PAIRS;
		if (headers.field_count)
			request_body(call);
	} else if (++tc->conn.fails > TRIES_MAX)
		tc->conn.ignored = true;
}

static __noinline void thread_moved(struct tls_thread *thread, __u32 moved)
{
	struct tls_conn *tc = bpf_map_lookup_elem(&tls_conns, &thread->key);
	struct socket_call call = {
		.queue_ns = HTTP_QUEUE_UNKNOWN,
		.from.buffer = thread->buffer,
		.moved = moved,
		.received = call_reads(thread->call),
	};

	if (!tc || tc->over > TLS_OVER || tc->conn.ignored)
		return;
	call.c = &tc->conn;
	call.sk = (struct sock *)tc->socket;
	call.now = bpf_ktime_get_ns();
	if (call.received && tc->received_at) {
		call.queue_ns = tc->queue_ns;
		/* A request began when its first bytes were read, a response ends with its last. */
		if (!tc->taken || tc->conn.record.role == HTTP_SERVER)
			call.now = tc->received_at;
	}
	tc->received_at = 0;
	call.t = text_room(call.received);
	if (!call.t)
		return;
	if (!tc->taken)
		conn_take(tc, &call);
	else if (!conn_moved_blind(&call))
		conn_look_at(&call);
	if ((tc->conn.record.role == HTTP_SERVER) == call.received)
		tc->told = true;
}

/* ---- calls ------------------------------------------------------------------------------------- */

SEC("uprobe")
int tls_entered(struct pt_regs *regs)
{
	struct tls_thread *thread;
	__u32 call = bpf_get_attach_cookie(regs);

	if (!capturing)
		return 0;
	thread = bpf_task_storage_get(&tls_threads, bpf_get_current_task_btf(), 0,
				      BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread)
		return 0;
	if (thread->key.ssl != FIRST(regs))
		thread->made = 0;
	thread->key.ssl = FIRST(regs);
	thread->key.pid = bpf_get_current_pid_tgid() >> 32;
	thread->turn = link_turn(thread->key.pid);
	thread->buffer = SECOND(regs);
	thread->count_at = call == TLS_READ_EX || call == TLS_WRITE_EX ? FOURTH(regs) : 0;
	thread->call = call;
	thread->within = true;
	return 0;
}

/* How many bytes the call that returned has moved. */
static __always_inline __u32 thread_count(const struct tls_thread *thread, int result)
{
	__u64 count = 0;

	if (result <= 0 || thread->call == TLS_HANDSHAKE)
		return 0;
	if (!thread->count_at)
		return result;
	if (bpf_probe_read_user(&count, sizeof(count), (const void *)thread->count_at))
		return 0;
	return count;
}

SEC("uprobe")
int tls_left(struct pt_regs *regs)
{
	struct tls_thread *thread =
		bpf_task_storage_get(&tls_threads, bpf_get_current_task_btf(), 0, 0);
	__u64 began, turn;
	__u32 moved;

	/* Calls may share the place of their return probes. */
	if (!capturing || !thread || !thread->within || thread->call != bpf_get_attach_cookie(regs))
		return 0;
	began = cost_begin(HTTP_COST_TLS);
	thread->within = false;
	turn = link_turn(thread->key.pid);
	moved = turn && turn != thread->turn ? 0 : thread_count(thread, RESULT(regs));
	thread->made = call_writes(thread->call) ? thread->made + moved : 0;
	/* What was read is no reason to send; a handshake, or reading in vain, may be. */
	thread->pending = !call_reads(thread->call) || !moved;
	if (moved)
		thread_moved(thread, moved);
	if (began)
		cost_end(HTTP_COST_TLS, began);
	return 0;
}

/* ---- ends -------------------------------------------------------------------------------------- */

/* What is open will not go on. */
static __noinline void tls_end(struct tls_conn *tc)
{
	struct sock *sk = (struct sock *)tc->socket;
	__u32 phase = tc->conn.phase;
	bool closed = socket_field(sk, __sk_common.skc_state) == TCP_CLOSE_WAIT;

	if (tc->taken && (phase == PHASE_REQUEST || phase == PHASE_RESPONSE))
		conn_finish(&tc->conn, phase,
			    outcome_at_end(&tc->conn, sk, phase, tc->broken, closed));
}

SEC("uprobe")
int tls_freed(struct pt_regs *regs)
{
	struct tls_key key = {FIRST(regs), bpf_get_current_pid_tgid() >> 32};
	struct tls_conn *tc = bpf_map_lookup_elem(&tls_conns, &key);

	if (!tc || tc->over > TLS_OVER)
		return 0;
	tls_end(tc);
	__sync_val_compare_and_swap(&tc->over, TLS_LIVES, TLS_OVER);
	return 0;
}

/* What one entry comes to. */
static __noinline void tls_sweep_entry(struct tls_conn *tc, __u64 pid)
{
	__u32 over = tc->over;

	if (over == TLS_LIVES && link_turn(pid)) {
		conn_sweep(&tc->conn, (struct sock *)tc->socket);
	} else if (over <= TLS_OVER) {
		tc->gone_at = bpf_ktime_get_ns();
		__sync_val_compare_and_swap(&tc->over, over,
					    over == TLS_OVER ? TLS_SWEPT : TLS_RELEASED);
		if (over == TLS_OVER)
			tls_end(tc);
	} else if (over < TLS_FORGOTTEN && bpf_ktime_get_ns() - tc->gone_at >= LINK_GONE_NS &&
		   __sync_val_compare_and_swap(&tc->over, over, TLS_FORGOTTEN) == over &&
		   over == TLS_RELEASED) {
		link_settle(tc);
	}
}

/* Writes the keys of entries that user space is to delete. */
SEC("iter/bpf_map_elem")
int tls_sweep(struct bpf_iter__bpf_map_elem *ctx)
{
	struct tls_conn *tc = ctx->value;
	struct tls_key *at = ctx->key, key;

	if (!tc || !at)
		return 0;
	key = *at;
	tls_sweep_entry(tc, key.pid);
	if (tc->over == TLS_FORGOTTEN)
		bpf_seq_write(ctx->meta->seq, &key, sizeof(key));
	return 0;
}

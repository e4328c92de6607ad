/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The few fields of kernel structures that our programs read. Each struct names only those fields;
 * libbpf moves the offsets to those of the running kernel (CO-RE), so neither order nor size here
 * mean anything, and no dump of the whole kernel's types is needed.
 */
#ifndef VOW_BPF_KERNEL_H
#define VOW_BPF_KERNEL_H

/* libbpf's helpers want the integer types declared before them. */
/* clang-format off */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
/* clang-format on */

/*
 * A function that the verifier checks once, for whatever arguments. One that is static it walks anew
 * on each way that leads to it, and what has loops, parts ways or is called from several places
 * multiplies: so the two programs of socket calls took 286,000 steps each, and a second to load.
 * Arguments are numbers and pointers to structs of ours, which it wants compared with NULL. At run
 * time it is a call like any other.
 */
#define __checked_once __attribute__((noinline))

#define AF_UNIX	 1
#define AF_INET	 2
#define AF_INET6 10

#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#ifndef NULL
#define NULL ((void *)0)
#endif

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT	2
#define TCP_FIN_WAIT1	4
#define TCP_CLOSE	7
#define TCP_CLOSE_WAIT	8
#define TCP_LAST_ACK	9
#define TCP_LISTEN	10

#define ENOSYS 38

#define RCV_SHUTDOWN  1 /* in sk_shutdown: nothing more to receive; the peer's FIN, or our close */
#define SEND_SHUTDOWN 2 /* the process closed, or ended its sending half */

#define MSG_PEEK     0x2
#define MSG_WAITALL  0x100
#define MSG_ERRQUEUE 0x2000

#define PF_IO_WORKER 0x10 /* in flags of a task: a thread that io_uring made for a process */
#define PF_KTHREAD   0x200000 /* one of the kernel's own, without memory of a process */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

typedef struct {
	__s64 counter;
} atomic64_t;

struct sock_common {
	__be32 skc_daddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	atomic64_t skc_cookie; /* 0 until somebody asked for it; of no two sockets the same */
};

struct sk_buff_head {
	__u32 qlen;
};

typedef struct {
	int owned; /* a process is inside a call on this socket */
} socket_lock_t;

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	struct sk_buff_head sk_receive_queue;
	struct socket *sk_socket; /* NULL before accept() and after close() */
	__u8 sk_shutdown;
	__u16 sk_type;
	__u16 sk_protocol;
	int sk_err;
};

struct tcp_sock {
	__u32 rcv_nxt; /* next byte expected from the peer */
	__u32 copied_seq; /* next byte that the process has not read */
	__u32 write_seq; /* end of what the process handed over */
	__u32 snd_nxt; /* next byte to leave */
	__u32 snd_una; /* first byte that the peer has not acknowledged */
	__u64 tcp_clock_cache; /* CLOCK_MONOTONIC when it last handled a packet */
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10;
	unsigned long ax;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
	unsigned long cs;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 pstate;
	__u64 orig_x0;
	__s32 syscallno;
};
#else
#error "the registers of this processor are not described here"
#endif

struct inode {
	unsigned long i_ino;
	__u16 i_mode;
};

struct file {
	const void *f_op;
	struct inode *f_inode;
	void *private_data; /* of a socket's file: its struct socket */
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct socket_alloc {
	struct socket socket; /* the first of its fields */
	struct inode vfs_inode;
};

struct sk_buff {
	unsigned int len;
	unsigned char *data;
};

struct task_struct {
	int tgid;
	unsigned int flags; /* PF_ */
	char comm[16];
	struct task_struct *group_leader; /* the first thread of its process */
	void *stack; /* its lowest address */
	struct files_struct *files;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *key;
	void *value;
};

struct bpf_iter__bpf_sk_storage_map {
	struct sock *sk;
	void *value;
};

#pragma clang attribute pop

/*
 * A field of what the kernel hands over, by its address. Programs to which the kernel vouches for no
 * pointer, not even for that to the running task, define KERNEL_UNTYPED first: then each look is a
 * read that can fail and says 0.
 */
#define kernel_read(pointer, field)                       \
	({                                                \
		const typeof(*(pointer)) *of = (pointer); \
		BPF_CORE_READ(of, field);                 \
	})
#ifdef KERNEL_UNTYPED
#define kernel_field(pointer, field) kernel_read(pointer, field)
#define kernel_task()		     ((struct task_struct *)bpf_get_current_task())
#else
#define kernel_field(pointer, field) ((pointer)->field)
#define kernel_task()		     bpf_get_current_task_btf()
#endif

/* Since kernel 6.2; the verifier turns it into a plain move. */
extern void *bpf_rdonly_cast(const void *object, __u32 btf_id) __ksym;

/* What processes hand over in system calls; their layout never moves. */
struct user_iovec {
	__u64 base;
	__u64 length;
};

struct user_msghdr_head {
	__u64 name;
	__u32 name_length;
	__u32 pad;
	__u64 iov;
	__u64 iov_count;
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program that may not open a socket to any network, for tests: from the first socket(2) that
 * is neither local (AF_UNIX) nor to the kernel (AF_NETLINK) it is dead by SIGSYS, with all its
 * threads. Children inherit that.
 *
 *	unix_only PROGRAM [ARGUMENT]...
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#endif

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
/* Goes on `yes` or `no` instructions further. */
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define END(verdict)		 BPF_STMT(BPF_RET | BPF_K, verdict)

static struct sock_filter instructions[] = {
	LOAD(arch),
	IF_EQUAL(NATIVE, 0, 5), /* calls of another ABI have other numbers */
	LOAD(nr),
	IF_EQUAL(__NR_socket, 0, 4),
	LOAD(args[0]), /* the family; its low half on a little-endian machine */
	IF_EQUAL(AF_UNIX, 2, 0),
	IF_EQUAL(AF_NETLINK, 1, 0),
	END(SECCOMP_RET_KILL_PROCESS),
	END(SECCOMP_RET_ALLOW),
};

int main(int argc, char **argv)
{
	struct sock_fprog filter = {sizeof(instructions) / sizeof(instructions[0]), instructions};

	if (argc < 2)
		return 2;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
		fprintf(stderr, "unix_only: no filter: %s\n", strerror(errno));
		return 2;
	}
	execv(argv[1], argv + 1);
	fprintf(stderr, "unix_only: %s: %s\n", argv[1], strerror(errno));
	return 2;
}

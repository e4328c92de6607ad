/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names an instruction: the one behind a side effect that others can see, where a test with a
 * debugger's means stops the real program and kills it (tests/program/testpoints.py).
 *
 * No instruction is made. The address and the name stand in a section that is never loaded, so the
 * shipped programs are what is tested. Compilers move nothing that touches memory across it, hence
 * none in the paths of a few nanoseconds: these are stepped through instruction by instruction.
 */
#ifndef VOW_LIB_BASE_TESTPOINT_H
#define VOW_LIB_BASE_TESTPOINT_H

#define TESTPOINT(name)                                                                \
	__asm__ __volatile__("771:\n\t.pushsection .vow.testpoints,\"\",@progbits\n\t" \
			     ".quad 771b\n\t.asciz \"" #name "\"\n\t.popsection" ::    \
				     : "memory")

#endif

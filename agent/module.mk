# SPDX-License-Identifier: Apache-2.0
# vowd, the agent of a host: it links no network library.
PROGRAMS  += vowd
MAINS     += agent/vowd.c
vowd_MAIN  := agent/vowd.c
vowd_PARTS := agent $(COLLECTORS) view config proto lib/model lib/data lib/base
vowd_LIBS  := -lbpf -lelf -luv -lurcu-memb -lprotobuf-c -lcyaml -lyaml -ljansson -lcap -lm

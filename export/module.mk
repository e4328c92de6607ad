# SPDX-License-Identifier: Apache-2.0
# vow-export: everything of the host that talks to a network.

PROGRAMS         += vow-export
MAINS            += export/main.c
vow-export_MAIN  := export/main.c
vow-export_PARTS := export rpc deliver config proto lib/model lib/data lib/base
vow-export_LIBS  := -luv -lcyaml -lyaml -lprotobuf-c -ljansson -lurcu-memb -lurcu-cds -lgrpc -lgpr -lcurl -lcrypto -lm

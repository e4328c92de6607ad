# SPDX-License-Identifier: Apache-2.0
# vow starts in milliseconds, so it links no network library; vow-fleet does, and vow starts it when
# a hub is asked, as git does with its remotes.
PROGRAMS += vow vow-fleet
MAINS    += cli/vow.c cli/fleet.c

vow_MAIN  := cli/vow.c
vow_PARTS := cli view config proto lib/model lib/data lib/base
vow_LIBS  := -lprotobuf-c -ljansson -lcyaml -lyaml -lurcu-memb -lurcu-cds -lm

vow-fleet_MAIN  := cli/fleet.c
vow-fleet_PARTS := cli view deliver rpc proto lib/model lib/data lib/base
vow-fleet_LIBS  := -lgrpc -lgpr -lcurl -luv -lprotobuf-c -lm

# SPDX-License-Identifier: Apache-2.0
# vow-hub: the central collector, with its dashboard built in.
PROGRAMS += vow-hub
MAINS    += hub/main.c

vow-hub_MAIN  := hub/main.c
vow-hub_PARTS := hub view store rpc config proto lib/model lib/data lib/base
vow-hub_LIBS  := -lgrpc -lgpr -lsqlite3 -lmicrohttpd -lprotobuf-c -ljansson -lcyaml -lyaml -luv \
                 -lurcu-memb -lurcu-cds -lm

# page.c takes these in as they are.
$(B)/hub/page.o: $(wildcard hub/web/*.* hub/web/vendor/uplot/*.*)

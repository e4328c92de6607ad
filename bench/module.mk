# SPDX-License-Identifier: Apache-2.0
# Benchmarks: one program per bench/bench_*.c, built but never installed; `make bench` runs them all
# through bench/run. One that links more than libc says so here as bench_NAME_LIBS.

BENCH := $(patsubst bench/%.c,%,$(wildcard bench/bench_*.c))
EXAMPLES += $(BENCH)
MAINS    += $(BENCH:%=bench/%.c)
$(foreach b,$(BENCH),$(eval $(b)_MAIN := bench/$(b).c)$(eval $(b)_PARTS := lib/base lib/data client))

bench_http_LIBS     := -lbpf -lelf -luv -lurcu-memb -lm -lcap
bench_http_PARTS    += $(COLLECTORS) config lib/model
bench_handler_LIBS  := -lbpf -lelf -luv -lurcu-memb -lm -lcap
bench_handler_PARTS += $(COLLECTORS) config lib/model
bench_aged_LIBS   := -luv -lurcu-memb -lurcu-cds -lprotobuf-c -lm
bench_aged_PARTS  += agent proto lib/model $(COLLECTORS) view config
bench_hist_LIBS   := -lm
bench_journal_LIBS := -luv -lurcu-memb -lm
bench_series_LIBS := -lurcu-memb -lm
bench_lane_LIBS   := -lurcu-memb -lm
bench_lane_PARTS  += $(COLLECTORS)
bench_peers_LIBS  := -lm

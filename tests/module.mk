# SPDX-License-Identifier: Apache-2.0
# Unit tests: one program per tests/unit/test_*.c, linked with every part; the archives give each
# only what it uses. Program tests are scripts under tests/program, run by scripts/run-tests.

UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNIT      := $(UNIT_SRC:tests/unit/%.c=$(B)/tests/%)
# Allocations of our own objects go through check.c, which can let the n-th one fail.
UNIT_WRAP := $(foreach f,malloc calloc realloc aligned_alloc strdup strndup mmap madvise \
               memfd_create,-Wl,--wrap=$(f))
# The library behind each door; --as-needed keeps the ones that a test does not reach.
UNIT_LIBS := -lcunit -luv -lcyaml -lyaml -lprotobuf-c -ljansson -lurcu-memb -lurcu-cds -lbpf -lelf -lcap -lgrpc -lgpr \
             -lcurl -lsqlite3 -lmicrohttpd -lzstd -lssl -lcrypto -lm -lquadmath

$(B)/tests/%: $(B)/tests/unit/%.o $(B)/tests/unit/check.o $(foreach p,$(PARTS),$(call part_archive,$(p)))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MODE_$(MODE)) $(CFLAGS) $(UNIT_WRAP) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) \
	  -Wl,--end-group -Wl,--as-needed $(LDFLAGS) $(UNIT_LIBS) -pthread -o $@

# Where the agent of a test looks for its helper: beside itself.
$(B)/tests/vow-keep: $(B)/vow-keep
	$(Q)ln -sf ../vow-keep $@

.PHONY: unit unit-programs
unit-programs: $(UNIT) $(B)/tests/vow-keep

unit: $(UNIT) ## build and run the unit tests for MODE
	$(Q)scripts/run-tests --mode $(MODE) unit

.PHONY: stress
stress: all ## kill applications and agents, each KILLS=1000 times at steps, and so often at random
	$(Q)VOW_BUILD=$(abspath $(B)) VOW_KILLS=$(or $(KILLS),1000) python3 tests/program/test_kills.py

.PHONY: soak
soak: all ## capture CONNECTIONS=1000000 short ones: memory must stay as it is
	$(Q)VOW_BUILD=$(abspath $(B)) VOW_SOAK=$(or $(CONNECTIONS),1000000) python3 tests/program/test_soak.py

-include $(UNIT_SRC:%.c=$(B)/%.d) $(B)/tests/unit/check.d

# SPDX-License-Identifier: Apache-2.0
# Fuzzers: one program per tests/fuzz/fuzz_*.c, built by clang in MODE=fuzz. Their corpus lies in
# tests/fuzz/corpus/NAME; what they find beside it, and inputs that break something, in build/fuzz.

FUZZ_SRC  := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ      := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=$(B)/fuzzers/%)
FUZZ_SHARED := $(B)/tests/fuzz/fuzz.o $(B)/tests/fuzz/forged.o
FUZZ_PARTS := lib/base lib/data lib/model client proto config view $(COLLECTORS) agent keep
FUZZ_LIBS := -luv -lcyaml -lyaml -lprotobuf-c -ljansson -lurcu-memb -lurcu-cds -lbpf -lelf -lcap -lm

$(FUZZ): $(B)/fuzzers/%: $(B)/tests/fuzz/fuzz_%.o \
    $(FUZZ_SHARED) $(foreach p,$(FUZZ_PARTS),$(call part_archive,$(p)))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MODE_$(MODE)) -fsanitize=fuzzer $(CFLAGS) $(filter %.o,$^) -Wl,--start-group \
	  $(filter %.a,$^) -Wl,--end-group -Wl,--as-needed $(LDFLAGS) $(FUZZ_LIBS) -pthread -o $@

# The corpus anew, by the encoders themselves.
FUZZ_SEEDS := $(B)/tests/fuzz_seeds
$(FUZZ_SEEDS): $(B)/tests/fuzz/seeds.o $(foreach p,$(FUZZ_PARTS),$(call part_archive,$(p)))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MODE_$(MODE)) $(CFLAGS) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) \
	  -Wl,--end-group -Wl,--as-needed $(LDFLAGS) $(FUZZ_LIBS) -pthread -o $@

.PHONY: fuzz fuzz-programs fuzz-seeds
fuzz-programs: $(FUZZ)

fuzz: ## fuzz every parser, FOR=30 seconds each; SEED=1 repeats inputs
	$(Q)$(MAKE) MODE=fuzz CC=$(CLANG) fuzz-programs
	$(Q)tests/fuzz/run $(if $(FOR),--for $(FOR)) $(if $(SEED),--seed $(SEED)) $(FUZZ:$(B)/fuzzers/%=%)

fuzz-seeds: $(FUZZ_SEEDS) ## write the fuzzers' corpus anew
	$(Q)$(FUZZ_SEEDS) tests/fuzz/corpus

-include $(FUZZ_SRC:%.c=$(B)/%.d) $(FUZZ_SHARED:.o=.d) $(B)/tests/fuzz/seeds.d

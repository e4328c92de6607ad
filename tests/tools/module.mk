# SPDX-License-Identifier: Apache-2.0
# Tools that tests start; they are not installed.

TOOLS := $(patsubst tests/tools/%.c,$(B)/tests/%,$(wildcard tests/tools/*.c))
TRUTH := $(B)/tests/truth_server
TOOLS := $(filter-out $(TRUTH),$(TOOLS))
capture_dump_LIBS := -lbpf -lelf
journal_feed_LIBS := -lprotobuf-c -lurcu-memb -lurcu-cds -lm
observe_LIBS      := $(B)/libvow.a
doomed_LIBS       := $(B)/libvow.a
deliver_LIBS      := $(B)/libvow.a
successor_LIBS    := $(B)/libvow.a
tagged_LIBS       := $(B)/libvow.a
other_hub_LIBS    := -lgrpc -lgpr
other_agent_LIBS  := -lgrpc -lgpr -lprotobuf-c -luv
picky_hub_LIBS    := -lgrpc -lgpr -lprotobuf-c
view_server_LIBS  := -lprotobuf-c -lurcu-memb -lurcu-cds -lm

$(B)/tests/doomed $(B)/tests/deliver $(B)/tests/observe $(B)/tests/successor $(B)/tests/tagged: $(B)/libvow.a
$(B)/tests/capture_dump: $(call part_archive,lib/data)
$(B)/tests/other_hub: $(call part_archive,rpc)
$(B)/tests/picky_hub: $(foreach p,rpc proto lib/model lib/data,$(call part_archive,$(p)))
$(B)/tests/other_agent: $(foreach p,rpc proto lib/model lib/data,$(call part_archive,$(p)))
$(B)/tests/journal_feed: $(foreach p,agent proto lib/model lib/data,$(call part_archive,$(p)))
$(B)/tests/view_server: $(foreach p,view proto lib/model lib/data,$(call part_archive,$(p)))
$(TOOLS): $(B)/tests/%: $(B)/tests/tools/%.o $(foreach p,$(COLLECTORS) lib/base,$(call part_archive,$(p)))
	$(call say,LD,$@)
	$(Q)$(CC) $(MODE_$(MODE)) $(CFLAGS) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) \
	  -Wl,--end-group -Wl,--as-needed $(LDFLAGS) $($*_LIBS) -pthread -o $@

# What tests preload into programs that are not ours; without a sanitizer, which those lack.
PRELOADS := $(patsubst tests/tools/preload/%.c,$(B)/tests/%.so,$(wildcard tests/tools/preload/*.c))
$(PRELOADS): $(B)/tests/%.so: tests/tools/preload/%.c $(B)/.flags
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 $(VOW_STD) $(VOW_WARN) $(CFLAGS) -shared $(LDFLAGS) -o $@ $<

# The server whose stamps the capture is compared with; without a sanitizer, which would slow it.
$(TRUTH): tests/tools/truth_server.c $(wildcard tests/tools/truth/*.[ch]) $(B)/.flags
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 $(VOW_STD) $(VOW_WARN) $(CFLAGS) -iquote . $(LDFLAGS) -o $@ $(filter %.c,$^)

EXTRA_TARGETS += $(TOOLS) $(PRELOADS) $(TRUTH)

-include $(TOOLS:$(B)/tests/%=$(B)/tests/tools/%.d)

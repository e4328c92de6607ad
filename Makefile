# SPDX-License-Identifier: Apache-2.0
# Build of vow. One make process sees the whole graph; all output is in build/$(MODE).
#   make [MODE=release|debug|asan|tsan|cov|fuzz] [CC=clang] [V=1] [WERROR=1]
# `make help` lists the targets.
#
# Each folder says in its module.mk which programs it makes and what they link; the archive of a
# folder (build/MODE/<folder>.a) holds every .c file in it except the files that have a main().

MODE     ?= release
V        ?= 0
# 1 in .ci/run; a user's newer compiler, which warns of more, must not stop a build.
WERROR   ?= 0
PREFIX   ?= /usr/local
DESTDIR  ?=
CLANG    ?= clang
BPFTOOL  ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PROTOC_C ?= protoc-c
B        := build/$(MODE)
VOW_VERSION := $(shell sed -n 's/^.define VOW_VERSION "\(.*\)"/\1/p' lib/base/version.h)

# --- flags: ours are separate, so that CFLAGS and LDFLAGS stay the user's ------------------------
FATAL    := $(if $(filter 1,$(WERROR)),-Werror)
VOW_WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wundef -Wformat=2 -Wvla -Wwrite-strings -Wimplicit-fallthrough $(FATAL)
VOW_STD  := -std=gnu17 -D_GNU_SOURCE -fno-common -fvisibility=hidden -fPIC -pthread
# -iquote and not -I: our bpf/ folder must not shadow <bpf/...>.
VOW_INC  := -iquote . -I include -isystem $(B)/gen
MODE_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
MODE_debug   := -O0 -g3
# gcc's shared libubsan beside libasan heeds no log_path, by which tests see the reports.
MODE_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
                -fno-omit-frame-pointer $(if $(findstring clang,$(CC)),,-static-libubsan)
MODE_tsan    := -O1 -g -fsanitize=thread
MODE_cov     := -O0 -g --coverage
MODE_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
ifndef MODE_$(MODE)
$(error unknown MODE '$(MODE)': use release, debug, asan, tsan, cov or fuzz)
endif
VOW_CFLAGS := $(VOW_STD) $(VOW_WARN) $(VOW_INC) $(MODE_$(MODE))
# -MD and not -MMD: -MMD leaves out headers found through -isystem, thus the generated ones.
DEPFLAGS = -MD -MP -MF $(@:.o=.d)

ifeq ($(V),1)
Q =
say =
else
Q = @
say = @printf '  %-7s %s\n' '$(1)' '$(2)';
MAKEFLAGS += --no-print-directory
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

# --- the graph: folders, programs, generated code ------------------------------------------------
# Folders of plain C, lowest floor first; the linker searches them in one group.
COLLECTORS := collectors collectors/lanes collectors/tls collectors/http collectors/host
PARTS := lib/base lib/data lib/model client proto config view $(COLLECTORS) rpc deliver store \
         agent export hub cli keep
part_archive = $(B)/$(subst /,_,$(1)).a
# PROGRAMS are installed; EXAMPLES (samples, load for tests, benches) are only built. A module adds
# what else `make` builds to EXTRA_TARGETS, and what else `make install` does to INSTALL_TARGETS.
PROGRAMS :=
EXAMPLES :=
MAINS    :=
EXTRA_TARGETS   :=
INSTALL_TARGETS :=
include $(wildcard *.mk) $(wildcard */module.mk) $(wildcard */*/module.mk)

BPF_SRC   := $(wildcard bpf/*.bpf.c)
SKELS     := $(BPF_SRC:bpf/%.bpf.c=$(B)/gen/bpf/%.skel.h)
PROTO_SRC := $(wildcard proto/vow/v1/*.proto)
PB_C      := $(PROTO_SRC:proto/%.proto=$(B)/gen/%.pb-c.c)
GEN       := $(SKELS) $(PB_C:.c=.h)

part_src     = $(filter-out $(MAINS),$(wildcard $(1)/*.c))
part_obj     = $(patsubst %.c,$(B)/%.o,$(call part_src,$(1))) $(if $(filter proto,$(1)),$(PB_C:.c=.o))

ALL_OBJ := $(foreach p,$(PARTS),$(call part_obj,$(p))) $(MAINS:%.c=$(B)/%.o)

# An archive is made anew when its list of objects is another one: a source that went away must not
# live on in it. The list lies beside it.
other_list = $(subst x$(strip $(2))x,,x$(strip $(file <$(1).list))x)
define PART_RULE
$(call part_archive,$(1)): $(call part_obj,$(1)) \
    $(if $(call other_list,$(call part_archive,$(1)),$(call part_obj,$(1))),FORCE)
	$$(call say,AR,$$@)
	$$(Q)mkdir -p $$(@D) && rm -f $$@ && $$(AR) rcs $$@ $$(filter %.o,$$^)
	$$(Q)echo '$(call part_obj,$(1))' > $$@.list
endef
$(foreach p,$(PARTS),$(eval $(call PART_RULE,$(p))))

# A program NAME says: NAME_MAIN (the file with main), NAME_PARTS (folders), NAME_LIBS (libraries).
define PROGRAM_RULE
$(B)/$(1): $(patsubst %.c,$(B)/%.o,$($(1)_MAIN)) $(foreach p,$($(1)_PARTS),$(call part_archive,$(p)))
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $(MODE_$(MODE)) $$(CFLAGS) -Wl,-z,now $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) \
	  -Wl,--end-group -Wl,--as-needed $$(LDFLAGS) $($(1)_LIBS) -pthread -o $$@
endef
$(foreach p,$(PROGRAMS) $(EXAMPLES),$(eval $(call PROGRAM_RULE,$(p))))

.PHONY: all help clean FORCE
all: $(PROGRAMS:%=$(B)/%) $(EXAMPLES:%=$(B)/%) $(EXTRA_TARGETS) ## build everything for MODE

# A change of flags or of compiler rebuilds: the stamp is rewritten only when its text differs.
FLAGS_TEXT := $(CC) $(VOW_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)
$(B)/.flags: FORCE
	@mkdir -p $(@D); echo '$(FLAGS_TEXT)' | cmp -s - $@ || echo '$(FLAGS_TEXT)' > $@

$(B)/%.o: %.c $(B)/.flags | $(GEN)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VOW_CFLAGS) $(CPPFLAGS) $(CFLAGS) $($(subst /,_,$(<D))_CFLAGS) $(DEPFLAGS) -c $< -o $@

$(B)/gen/%.pb-c.o: $(B)/gen/%.pb-c.c $(B)/.flags
	$(call say,CC,$<)
	$(Q)$(CC) $(VOW_STD) $(VOW_INC) $(MODE_$(MODE)) $(CFLAGS) -w $(DEPFLAGS) -c $< -o $@

$(B)/gen/%.pb-c.c $(B)/gen/%.pb-c.h &: proto/%.proto
	$(call say,PROTOC,$<)
	@mkdir -p $(@D)
	$(Q)$(PROTOC_C) --proto_path=proto --c_out=$(B)/gen $<

# One object of BPF serves every MODE's skeleton; x86-64 and arm64 name their registers differently.
BPF_ARCH := $(subst x86_64,x86,$(subst aarch64,arm64,$(shell uname -m)))
$(B)/gen/bpf/%.bpf.o: bpf/%.bpf.c $(B)/.flags
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -Wall -Wextra -Wno-unused-parameter $(FATAL) -target bpf -mcpu=v3 \
	  -D__TARGET_ARCH_$(BPF_ARCH) -iquote . -idirafter /usr/include/$(shell uname -m)-linux-gnu \
	  -MD -MP -MF $(@:.o=.d) -c $< -o $@

$(B)/gen/bpf/%.skel.h: $(B)/gen/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_skel > $@

# --- checks --------------------------------------------------------------------------------------
.PHONY: test lint fmt asan tsan bench install
test: ## install what lacks, build, run every test
	$(Q)scripts/setup build test
	$(Q)$(MAKE) all unit-programs
	$(Q)scripts/run-tests --mode $(MODE)

lint: $(GEN) ## floors, headers, format, clang, licences
	$(Q)scripts/lint $(B)

fmt: ## format the sources that differ from main
	$(Q)git diff --name-only --diff-filter=d main -- '*.c' '*.h' | xargs -r clang-format-14 -i

asan: ## run every test under ASan and UBSan, or TESTS=unit
tsan: ## run every test under TSan, or TESTS=unit
asan tsan:
	$(Q)$(MAKE) MODE=$@ unit-programs $(if $(filter unit,$(TESTS)),,all)
	$(Q)scripts/run-tests --mode $@ $(TESTS)

bench: all ## measure, as ratios within one run
	$(Q)VOW_BUILD=$(abspath $(B)) bench/run

# --- installing: people's commands in bin, their helpers in lib/vow, daemons in sbin; each program
# writes its own manual ----------------------------------------------------------------------------
BIN_PROGRAMS := $(filter vow,$(PROGRAMS))
LIB_PROGRAMS := $(filter vow-fleet vow-keep,$(PROGRAMS))
install: all $(INSTALL_TARGETS) ## into $(DESTDIR)$(PREFIX)
	$(Q)for p in $(PROGRAMS); do \
	  dir=sbin section=8; \
	  case " $(BIN_PROGRAMS) " in *" $$p "*) dir=bin section=1 ;; esac; \
	  case " $(LIB_PROGRAMS) " in *" $$p "*) dir=lib/vow ;; esac; \
	  install -D -m 755 $(B)/$$p $(DESTDIR)$(PREFIX)/$$dir/$$p && \
	  $(B)/$$p --man > $(B)/$$p.$$section && \
	  install -D -m 644 $(B)/$$p.$$section \
	    $(DESTDIR)$(PREFIX)/share/man/man$$section/$$p.$$section || exit 1; \
	done
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/vow LICENSE README.md
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/vow/deploy deploy/vow.yaml.example
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/vow/LICENSES $(wildcard LICENSES/*)
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/vow/docs $(wildcard docs/*.md docs/*.png)
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/vow/docs/adr $(wildcard docs/adr/*.md)
	$(Q)install -D -m 644 deploy/vow.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/vow

clean: ## remove build/
	rm -rf build

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-15s %s\n", $$1, $$2}' $(filter %Makefile %.mk,$(MAKEFILE_LIST))

-include $(ALL_OBJ:.o=.d) $(PB_C:.c=.d) $(SKELS:.skel.h=.bpf.d)

# SPDX-License-Identifier: Apache-2.0
# libvow: what applications link. The shared and the static library hold the same objects: this
# folder and the three files of lib/ that it shares with the agent; only vow_* is visible.

VOW_SO      := libvow.so.0
VOW_OBJ     := $(patsubst %.c,$(B)/%.o,$(wildcard client/*.c)) \
               $(B)/lib/base/passing.o $(B)/lib/data/hist_table.o $(B)/lib/data/rendezvous.o

EXTRA_TARGETS   += $(B)/libvow.so $(B)/libvow.a
INSTALL_TARGETS += install-libvow

# nodelete: threads that outlive a dlclose() still call into it when they end.
$(B)/$(VOW_SO): $(VOW_OBJ) client/libvow.map
	$(call say,LD,$@)
	$(Q)$(CC) $(MODE_$(MODE)) $(CFLAGS) -shared -Wl,-soname,$(VOW_SO) \
	  -Wl,-z,defs,-z,now,-z,relro,-z,nodelete -Wl,--version-script,client/libvow.map $(VOW_OBJ) $(LDFLAGS) -pthread -o $@

$(B)/libvow.so: $(B)/$(VOW_SO)
	$(Q)ln -sf $(VOW_SO) $@

# One object in which everything hidden has become local, so that no name of ours can meet one of
# the application's.
$(B)/libvow.a: $(VOW_OBJ)
	$(call say,AR,$@)
	$(Q)ld -r -o $(B)/libvow.o $(VOW_OBJ) && objcopy --localize-hidden $(B)/libvow.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(B)/libvow.o

.PHONY: install-libvow
install-libvow: $(B)/libvow.so $(B)/libvow.a ## install libvow only, into DESTDIR and PREFIX
	$(Q)install -d $(DESTDIR)$(PREFIX)/include/vow $(DESTDIR)$(PREFIX)/lib/pkgconfig
	$(Q)install -m 644 include/vow/vow.h include/vow/shm.h $(DESTDIR)$(PREFIX)/include/vow/
	$(Q)install -m 644 $(B)/libvow.a $(DESTDIR)$(PREFIX)/lib/
	$(Q)install -m 755 $(B)/$(VOW_SO) $(DESTDIR)$(PREFIX)/lib/
	$(Q)ln -sf $(VOW_SO) $(DESTDIR)$(PREFIX)/lib/libvow.so
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VOW_VERSION)|' client/vow.pc.in \
	  > $(DESTDIR)$(PREFIX)/lib/pkgconfig/vow.pc

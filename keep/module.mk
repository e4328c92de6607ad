# SPDX-License-Identifier: Apache-2.0
# vow-keep holds what applications observed while no vowd runs: small, and of nothing but libc.
PROGRAMS += vow-keep
MAINS    += keep/vow_keep.c

vow-keep_MAIN  := keep/vow_keep.c
vow-keep_PARTS := keep collectors/lanes lib/data lib/base
vow-keep_LIBS  :=

# SPDX-License-Identifier: Apache-2.0
# The capture depends on what a kernel offers and on what its verifier lets pass: its tests on
# Debian's kernels, each in an emulated machine (tests/kernels/boot).

KERNELS ?= 6.1 6.12
CAPTURE_TESTS ?=

.PHONY: kernels
kernels: all ## run the tests of the capture on the kernels KERNELS="6.1 6.12", CAPTURE_TESTS=part of names
	$(Q)scripts/setup kernels
	$(Q)for kernel in $(KERNELS); do for tests in modes uring; do \
	  echo "kernel $$kernel, $$tests"; \
	  VOW_BUILD=$(abspath $(B)) PYTHONPATH=tests/program PYTHONDONTWRITEBYTECODE=1 \
	    tests/kernels/boot --limit 1800 $$kernel \
	    python3 tests/program/test_capture_$$tests.py $(CAPTURE_TESTS) || exit 1; \
	done; done

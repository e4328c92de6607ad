# SPDX-License-Identifier: Apache-2.0
# Watching vow at work, in a scratch folder, with ports of its own.

.PHONY: demo run
demo: ## sample traffic, its dashboard, a live table; FOR=20 ends by itself and judges
	$(Q)scripts/setup build demo || test -x $(B)/vowd
	$(Q)$(MAKE) all
	$(Q)VOW_BUILD=$(abspath $(B)) scripts/demo --traffic $(if $(FOR),--for $(FOR))

run: ## the same without sample traffic: watches this host
	$(Q)scripts/setup build || test -x $(B)/vowd
	$(Q)$(MAKE) all
	$(Q)VOW_BUILD=$(abspath $(B)) scripts/demo $(if $(FOR),--for $(FOR))

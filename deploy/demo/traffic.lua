-- SPDX-License-Identifier: Apache-2.0
-- wrk's requests of the demo: a shop's routes, in the proportions that a shop has.
local paths = {
	"/", "/", "/", "/api/availability/%d", "/api/availability/%d", "/api/suppliers/%d",
	"/api/suppliers/%d", "/api/payments", "/api/guest-lists/%d?page=2", "/no/such/page",
}

function request()
	local path = paths[math.random(#paths)]
	return wrk.format("GET", string.format(path, math.random(10000, 99999)))
end

-- Milliseconds between the requests of one connection.
function delay()
	return math.random(5, 40)
end

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why this is a proof. A function is read from its first byte to its last, and every jump in it is
 * seen to lead to an instruction that was read so. It begins at its first instruction; so whatever
 * it runs, it runs as it was read, and data among the code would change nothing. What might break
 * that is not accepted: an instruction that is not known, a jump by a register, a jump out of the
 * function where its returns matter.
 *
 * The shapes that are looked for are those that compilers give OpenSSL's calls:
 *   - it begins with a push: both kinds of probe go there;
 *   - it checks the stack's canary before each return: a jump to a call that never comes back, with
 *     the result in its register;
 *   - it calls another function with its own arguments and returns what that does. If its twin calls
 *     that one as well, on each way to a result above 0, the twin needs no probes of its own.
 */
#include "collectors/tls/tls_code.h"

#include <string.h>

#include "collectors/tls/x86_insn.h"

#define INSNS_MAX 256 /* the calls that are not mere beginnings have 10 to 40 */
#define NOWHERE	  SIZE_MAX

/* rdi, rsi, rdx, rcx: four arguments at most. */
#define ARGUMENTS (1u << X86_DI | 1u << X86_SI | 1u << X86_DX | 1u << X86_CX)

struct step {
	struct x86_insn insn;
	size_t at;
	bool met; /* by a jump */
};

struct flow {
	const uint8_t *code;
	size_t size;
	struct step steps[INSNS_MAX];
	size_t count;
	bool goes_out; /* by a jump, or off its end */
};

/* ---- a whole function ------------------------------------------------------------------------ */

static size_t behind(const struct step *step)
{
	return step->at + step->insn.length;
}

static size_t step_at(const struct flow *flow, int64_t at)
{
	for (size_t i = 0; i < flow->count; i++)
		if ((int64_t)flow->steps[i].at == at)
			return i;
	return NOWHERE;
}

static int64_t target_of(const struct step *step)
{
	return (int64_t)behind(step) + step->insn.displacement;
}

static bool is_jump(const struct step *step)
{
	return step->insn.kind == X86_JUMP || step->insn.kind == X86_JUMP_IF;
}

static bool is_call(const struct step *step)
{
	return step->insn.kind == X86_CALL || step->insn.kind == X86_CALL_BY;
}

/* false: a jump goes into the middle of an instruction. */
static bool jumps_note(struct flow *flow)
{
	for (size_t i = 0; i < flow->count; i++) {
		int64_t target = target_of(&flow->steps[i]);
		size_t met;

		if (!is_jump(&flow->steps[i]))
			continue;
		if (target < 0 || target >= (int64_t)flow->size) {
			flow->goes_out = true;
			continue;
		}
		met = step_at(flow, target);
		if (met == NOWHERE)
			return false;
		flow->steps[met].met = true;
	}
	return true;
}

/* Whether the last instruction that is no padding goes on. Only a call that never comes back may. */
static bool falls_off(const struct flow *flow)
{
	for (size_t i = flow->count; i-- > 0;) {
		enum x86_kind kind = flow->steps[i].insn.kind;

		if (kind != X86_PLAIN || flow->steps[i].insn.writes)
			return kind == X86_PLAIN || kind == X86_JUMP_IF;
	}
	return true;
}

static bool flow_read(struct flow *flow, const uint8_t *code, size_t size)
{
	size_t at = 0;

	flow->code = code;
	flow->size = size;
	flow->count = 0;
	while (at < size) {
		struct step *step = &flow->steps[flow->count];

		if (flow->count == INSNS_MAX || !x86_insn_decode(code + at, size - at, &step->insn))
			return false;
		step->at = at;
		step->met = false;
		at = behind(step);
		flow->count++;
	}
	flow->goes_out = falls_off(flow);
	return jumps_note(flow);
}

/* ---- ways in --------------------------------------------------------------------------------- */

/* The first instruction that the kernel emulates, passed once and with the arguments as they came. */
static size_t enter_find(const struct flow *flow)
{
	for (size_t i = 0; i < flow->count; i++) {
		const struct x86_insn *insn = &flow->steps[i].insn;

		if (flow->steps[i].met)
			return NOWHERE;
		if (insn->emulated)
			return i;
		if (insn->kind != X86_PLAIN || insn->writes & ARGUMENTS)
			return NOWHERE;
	}
	return NOWHERE;
}

/* Whether the return address is on top of the stack before this step, which no jump comes before. */
static bool stack_untouched(const struct flow *flow, size_t before)
{
	for (size_t i = 0; i < before; i++)
		if (flow->steps[i].insn.writes & 1u << X86_SP)
			return false;
	return true;
}

bool tls_code_returns(const uint8_t *code, size_t size, size_t *offset)
{
	struct x86_insn insn;
	size_t at = 0;

	/* At most an endbr64 may come first, so that nothing can jump back here but as a call does. */
	if (!x86_insn_decode(code, size, &insn))
		return false;
	if (insn.kind == X86_PLAIN && insn.length == 4 && memcmp(code, "\xf3\x0f\x1e\xfa", 4) == 0)
		at = 4;
	if (!x86_insn_decode(code + at, size - at, &insn) || insn.kind != X86_PLAIN ||
	    !insn.emulated)
		return false;
	*offset = at;
	return true;
}

/* ---- ways out -------------------------------------------------------------------------------- */

/* Nothing but padding follows: a call here does not come back, or it would fall out of the function. */
static bool is_last(const struct flow *flow, size_t i)
{
	while (++i < flow->count)
		if (flow->steps[i].met || flow->steps[i].insn.kind != X86_PLAIN ||
		    flow->steps[i].insn.writes)
			return false;
	return true;
}

static bool is_canary_check(const struct flow *flow, const struct step *step)
{
	size_t target;

	if (step->insn.kind != X86_JUMP_IF || !step->insn.emulated)
		return false;
	target = step_at(flow, target_of(step));
	return target != NOWHERE && is_call(&flow->steps[target]) && is_last(flow, target);
}

/* The check that every way to this return passes, with the result as it will be; NOWHERE: none. */
static size_t leaf_find(const struct flow *flow, size_t enter, size_t at_return)
{
	for (size_t i = at_return; i > enter + 1 && !flow->steps[i].met; i--) {
		const struct step *step = &flow->steps[i - 1];

		if (is_canary_check(flow, step))
			return step->at;
		if (step->insn.kind != X86_PLAIN || step->insn.writes & 1u << X86_AX)
			return NOWHERE;
	}
	return NOWHERE;
}

/* Whether all returns have one. */
static bool leaves_find(const struct flow *flow, size_t enter, struct tls_code *places)
{
	for (size_t i = 0; i < flow->count; i++) {
		size_t leaf;

		if (flow->steps[i].insn.kind != X86_RETURN)
			continue;
		leaf = leaf_find(flow, enter, i);
		if (leaf == NOWHERE || places->leaf_count == TLS_LEAVES_MAX)
			return false;
		places->leaves[places->leaf_count++] = leaf;
	}
	return places->leaf_count && !flow->goes_out;
}

/* ---- functions that hand all over to another one --------------------------------------------- */

/* xor r, r; test eax, eax; cmovs eax, r: makes 0 of what is negative. Returns its steps, 3 or 0. */
static size_t clamp_steps(const struct flow *flow, size_t i)
{
	const uint8_t *code = flow->code + flow->steps[i].at;
	size_t left = flow->size - flow->steps[i].at;

	if (left < 7 || code[0] != 0x31 || code[1] >> 6 != 3 ||
	    (code[1] >> 3 & 7) != (code[1] & 7) || (code[1] & 7) == X86_AX)
		return 0;
	return memcmp(code + 2, "\x85\xc0\x0f\x48", 4) == 0 && code[6] == (0xc0 | (code[1] & 7))
		       ? 3
		       : 0;
}

/* The call at step i is all that a function does: no jump, its result handed on, then the end. */
static bool wraps_at(const struct flow *flow, size_t i)
{
	if (flow->steps[i].insn.kind != X86_CALL || i + 1 == flow->count)
		return false;
	for (i += 1 + clamp_steps(flow, i + 1); i < flow->count; i++) {
		const struct x86_insn *insn = &flow->steps[i].insn;

		if (insn->kind == X86_RETURN)
			return is_last(flow, i);
		if (insn->kind != X86_PLAIN || insn->writes & 1u << X86_AX)
			return false;
	}
	return false;
}

/* ---- twins that call the same function ------------------------------------------------------- */

/* Ways through a function that have not called that other one: what is known of the result there. */
struct ways {
	const struct flow *flow;
	int64_t target;
	bool seen[INSNS_MAX][2]; /* with a result that may be anything, and with one of at most 0 */
	struct {
		size_t step;
		bool nothing;
	} open[2 * INSNS_MAX];
	size_t open_count;
};

static void way_add(struct ways *ways, size_t step, bool nothing)
{
	if (step == NOWHERE || step >= ways->flow->count || ways->seen[step][nothing])
		return;
	ways->seen[step][nothing] = true;
	ways->open[ways->open_count].step = step;
	ways->open[ways->open_count++].nothing = nothing;
}

/* Whether the result is at most 0 behind this step: mov $n,%eax; or $-1,%eax; xor %eax,%eax. */
static bool result_is_nothing(const struct flow *flow, const struct step *step, bool nothing)
{
	const uint8_t *code = flow->code + step->at;
	int32_t constant;

	if (is_call(step))
		return false;
	if (!(step->insn.writes & 1u << X86_AX))
		return nothing;
	if (code[0] == 0xb8) {
		memcpy(&constant, code + 1, sizeof(constant));
		return step->insn.length == 5 && constant <= 0;
	}
	return (step->insn.length == 2 && memcmp(code, "\x31\xc0", 2) == 0) ||
	       (step->insn.length == 3 && memcmp(code, "\x83\xc8\xff", 3) == 0);
}

/* false: what is returned here may be more than 0. */
static bool way_follow(struct ways *ways, size_t i, bool nothing)
{
	const struct step *step = &ways->flow->steps[i];
	enum x86_kind kind = step->insn.kind;

	if (kind == X86_RETURN)
		return nothing;
	if (kind == X86_STOP || (kind == X86_CALL && target_of(step) == ways->target))
		return true;
	nothing = result_is_nothing(ways->flow, step, nothing);
	if (is_jump(step))
		way_add(ways, step_at(ways->flow, target_of(step)), nothing);
	if (kind != X86_JUMP)
		way_add(ways, i + 1, nothing);
	return true;
}

bool tls_code_passes(const uint8_t *code, size_t size, int64_t target)
{
	struct flow flow;
	struct ways ways = {.flow = &flow, .target = target};

	if (!flow_read(&flow, code, size) || flow.goes_out)
		return false;
	way_add(&ways, 0, false);
	while (ways.open_count) {
		size_t last = --ways.open_count;

		if (!way_follow(&ways, ways.open[last].step, ways.open[last].nothing))
			return false;
	}
	return true;
}

/* ---- together -------------------------------------------------------------------------------- */

static bool places_find(const struct flow *flow, struct tls_code *places)
{
	size_t enter = enter_find(flow);

	if (enter == NOWHERE)
		return false;
	places->enters = flow->steps[enter].at;
	places->returns = (int64_t)places->enters;
	if (stack_untouched(flow, enter) || leaves_find(flow, enter, places))
		return true;
	places->leaf_count = 0;
	places->returns = target_of(&flow->steps[enter]);
	places->wraps = true;
	return wraps_at(flow, enter);
}

bool tls_code_read(const uint8_t *code, size_t size, struct tls_code *places)
{
	struct tls_code made = {0};
	struct flow flow;

	if (!flow_read(&flow, code, size) || !places_find(&flow, &made))
		return false;
	*places = made;
	return true;
}

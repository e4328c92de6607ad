/* SPDX-License-Identifier: Apache-2.0 */
#include "export/uplink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "export/backoff.h"
#include "export/outbox.h"
#include "export/refused.h"
#include "export/suspect.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/version.h"
#include "lib/data/journal.h"

#define READER_NAME   "hub"
#define LOOK_AGAIN    (5 * NS_PER_S) /* for a journal that could not be opened */
#define ANSWER_LIMIT  (10 * NS_PER_S) /* for the first answer to our hello */
#define SILENCE_LIMIT (30 * NS_PER_S) /* for an acknowledgement of what is on its way */
/*
 * How often the position is written: it costs two syncs of the disk and only lets the journal
 * forget, and vow show how far the hub is.
 */
#define HEARTBEAT (2 * NS_PER_S)
/*
 * Records claimed at a time: few claims while catching up, and little that cannot be merged when
 * this program dies while the hub is away.
 */
#define CLAIM_AHEAD 256

enum uplink_state {
	UPLINK_WAITING, /* the timer, or the journal's first record, begins the next attempt */
	UPLINK_CONNECTING,
	UPLINK_ASKED, /* hello was sent, the hub says where to begin */
	UPLINK_STREAMING,
};

struct uplink {
	struct uplink_options options;
	struct rpc_client *client;
	struct loop_timer *retry, *heartbeat;
	struct outbox *outbox;
	struct journal_reader *reader;
	enum uplink_state state;
	bool busy; /* a message is being taken by the transport */
	bool retry_due; /* only the journal is waited for */
	uint64_t first; /* oldest record when the reader was opened */
	uint64_t next; /* to be sent */
	uint64_t committed, written; /* by the hub; in the position file */
	uint64_t claimed; /* records up to here are not merged any more */
	int unwritten, unclaimed; /* why the position and a claim could not be written last; or 0 */
	uint32_t credits;
	struct suspect suspect; /* of the journal's life `epoch` */
	uint64_t epoch; /* 0: of none yet */
	uint64_t sent; /* last record of this stream; 0: none yet */
	bool alone; /* it went alone, and waits for its answer */
	unsigned failures; /* in a row, without an answer in between */
	mono_ns heard; /* last sign of progress */
	char last_text[256]; /* why it closed last; "" after it worked */
	bool journal_missed; /* it was logged that there is none */
};

/* ---- the journal ------------------------------------------------------------------------------ */

static void reader_close(struct uplink *uplink)
{
	journal_reader_close(uplink->reader);
	uplink->reader = NULL;
}

/*
 * 0 when the journal is open and has a record, whose number is then `first`. It is opened anew for
 * each connection: by then segments may be gone, or the whole journal another one.
 */
static int reader_open(struct uplink *uplink, struct diag *d)
{
	struct journal_record record;
	int rc;

	reader_close(uplink);
	rc = journal_reader_open(uplink->options.journal, READER_NAME, 0, &uplink->reader, d);
	if (rc)
		return rc;
	do {
		rc = journal_reader_next(uplink->reader, &record, d);
	} while (rc == -EPROTO); /* it went past a broken part */
	if (rc == 1) {
		uplink->first = record.seq;
		if (journal_reader_epoch(uplink->reader) != uplink->epoch)
			uplink->suspect = (struct suspect){0};
		uplink->epoch = journal_reader_epoch(uplink->reader);
		return 0;
	}
	reader_close(uplink);
	return rc ? rc : diag_set(d, -ENOENT, uplink->options.journal, "start vowd", "no record");
}

static void position_write(struct uplink *uplink)
{
	int rc;

	if (!uplink->reader || uplink->committed <= uplink->written)
		return;
	rc = journal_reader_commit(uplink->reader, uplink->committed);
	/* Tried again every few seconds: the same reason is one line. */
	if (rc && rc != uplink->unwritten)
		log_warn("cannot write the position in %s: %s; the journal keeps more than needed",
			 uplink->options.journal, strerror(-rc));
	else if (!rc && uplink->unwritten)
		log_info("the position in %s can be written again", uplink->options.journal);
	if (!rc)
		uplink->written = uplink->committed;
	uplink->unwritten = rc;
}

/*
 * Says what may be sent from now on, or that no more was sent than this. Without it nothing is sent:
 * the agent might merge a record that is on its way.
 */
static int claim_write(struct uplink *uplink, uint64_t seq)
{
	int rc = journal_reader_claim(uplink->reader, seq);

	if (!rc)
		uplink->claimed = seq;
	if (rc && rc != uplink->unclaimed)
		log_error("cannot note in %s which records are sent: %s; they wait there until it "
			  "can be noted",
			  uplink->options.journal, strerror(-rc));
	else if (!rc && uplink->unclaimed)
		log_info("it can be noted again in %s which records are sent",
			 uplink->options.journal);
	uplink->unclaimed = rc;
	return rc;
}

/* ---- connecting ------------------------------------------------------------------------------- */

/* Evenly from [0, 1); without the kernel's numbers the longest wait is the safest. */
static double random_unit(void)
{
	uint32_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = UINT32_MAX;
	return (double)random / ((double)UINT32_MAX + 1);
}

/* The hub was there and will say no again until somebody changes something. */
static bool is_refusal(enum rpc_status status)
{
	return status == RPC_FAILED_PRECONDITION || status == RPC_UNIMPLEMENTED ||
	       status == RPC_INVALID_ARGUMENT || status == RPC_UNAUTHENTICATED ||
	       status == RPC_PERMISSION_DENIED;
}

static void uplink_connect(struct uplink *uplink)
{
	struct diag d;
	int rc = reader_open(uplink, &d);

	uplink->retry_due = true;
	if (rc) {
		if (!uplink->journal_missed)
			log_diag(rc == -ENOENT ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, &d,
				 "waiting for a journal");
		uplink->journal_missed = true;
		/* -ENOENT ends with the tail's word; another error may end without one. */
		loop_timer_again(uplink->retry, LOOK_AGAIN, 0);
		return;
	}
	uplink->journal_missed = false;
	uplink->retry_due = false;
	uplink->state = UPLINK_CONNECTING;
	rpc_client_connect(uplink->client);
}

static void retry_due(void *arg)
{
	struct uplink *uplink = arg;

	if (uplink->state == UPLINK_WAITING)
		uplink_connect(uplink);
}

/* ---- sending ---------------------------------------------------------------------------------- */

static uint64_t in_flight(const struct uplink *uplink)
{
	uint64_t sent = uplink->next - 1;

	/* What the hub has and only learns names from is not waited for. */
	return sent > uplink->committed ? sent - uplink->committed : 0;
}

/* A record that is suspected goes alone. */
static bool outbox_takes_more(const struct uplink *uplink)
{
	return !outbox_full(uplink->outbox) &&
	       !(outbox_count(uplink->outbox) && suspect_alone(&uplink->suspect, uplink->next - 1));
}

/*
 * Fills the outbox with what may go now, in one row of numbers. *gone: the records before the
 * first are lost, which ends a row that has begun.
 */
static int outbox_fill(struct uplink *uplink, uint64_t *gone)
{
	struct journal_record record;
	struct diag d;

	outbox_clear(uplink->outbox);
	*gone = 0;
	while (outbox_takes_more(uplink) && in_flight(uplink) < uplink->credits) {
		int rc = uplink->next > uplink->claimed
				 ? claim_write(uplink, uplink->next + CLAIM_AHEAD)
				 : 0;

		if (rc < 0)
			return rc;
		rc = journal_reader_next(uplink->reader, &record, &d);
		if (rc == 0)
			return 0;
		if (rc == -EPROTO) {
			log_diag(LOG_LEVEL_ERROR, &d, "records of the journal are lost");
			continue;
		}
		if (rc < 0) {
			log_diag(LOG_LEVEL_ERROR, &d, "cannot go on reading the journal");
			return rc;
		}
		if (record.seq > uplink->claimed) {
			/* Numbers before it are gone: it is read again once it is claimed. */
			rc = claim_write(uplink, record.seq + CLAIM_AHEAD);
			if (!rc)
				rc = journal_reader_seek(uplink->reader, record.seq);
			if (rc)
				return rc;
			continue;
		}
		if (record.seq != uplink->next && outbox_count(uplink->outbox))
			return journal_reader_seek(uplink->reader, record.seq);
		if (record.seq != uplink->next)
			*gone = record.seq;
		if (suspect_is_aside(&uplink->suspect, record.seq))
			record = (struct journal_record){.seq = record.seq, .wall = record.wall};
		rc = outbox_add(uplink->outbox, &record);
		if (rc)
			return rc;
		uplink->next = record.seq + 1;
	}
	return 0;
}

/* Sends one batch; false when there is nothing to send now. */
static bool uplink_send_batch(struct uplink *uplink)
{
	bool idle = in_flight(uplink) == 0;
	uint64_t gone;
	uint8_t *bytes = NULL;
	size_t size;
	int rc = outbox_fill(uplink, &gone);

	if (!rc && !outbox_count(uplink->outbox))
		return false;
	if (!rc)
		rc = outbox_encode(uplink->outbox, gone, clock_wall(), &bytes, &size);
	if (!rc)
		rc = rpc_client_send(uplink->client, bytes, size);
	free(bytes);
	if (rc) {
		/* What was read but not sent is read again after the next hello. */
		rpc_client_disconnect(uplink->client);
		return false;
	}
	if (gone)
		log_error("records before %" PRIu64 " are gone from the journal", gone);
	log_debug("hub %s: sent %zu records, up to %" PRIu64, uplink->options.hub.target,
		  outbox_count(uplink->outbox), uplink->next - 1);
	if (idle)
		uplink->heard = clock_mono();
	uplink->sent = uplink->next - 1;
	uplink->alone = suspect_alone(&uplink->suspect, uplink->sent);
	uplink->busy = true;
	return true;
}

static void uplink_pump(struct uplink *uplink)
{
	while (uplink->state == UPLINK_STREAMING && !uplink->busy && !uplink->alone)
		if (!uplink_send_batch(uplink))
			return;
}

/* ---- the hub's word --------------------------------------------------------------------------- */

static void on_opened(void *arg)
{
	struct uplink *uplink = arg;
	struct stream_hello hello = {
		.protocol = STREAM_PROTOCOL,
		.epoch = journal_reader_epoch(uplink->reader),
		.first_seq = uplink->first,
		.version = VOW_VERSION,
	};
	uint8_t *bytes;
	size_t size;
	int rc;

	memcpy(hello.agent_id, uplink->options.agent_id, sizeof(hello.agent_id));
	snprintf(hello.host, sizeof(hello.host), "%s", uplink->options.host);
	rc = stream_hello_encode(&hello, &bytes, &size);
	if (!rc) {
		rc = rpc_client_send(uplink->client, bytes, size);
		free(bytes);
	}
	if (rc) {
		rpc_client_disconnect(uplink->client);
		return;
	}
	uplink->state = UPLINK_ASKED;
	uplink->busy = true;
	uplink->heard = clock_mono();
}

/*
 * A hub that is ahead of the journal means that the machine went down before the journal's last
 * records were on its disk. Numbers would then be given twice, which the hub takes for repeats.
 */
static bool journal_is_behind(struct uplink *uplink)
{
	struct journal_record record;

	if (uplink->committed < uplink->first)
		return false;
	return journal_reader_seek(uplink->reader, uplink->committed) ||
	       journal_reader_next(uplink->reader, &record, NULL) == 0;
}

static void uplink_begin(struct uplink *uplink, const struct stream_from_hub *answer)
{
	uplink->next = answer->committed_seq + 1;
	if (answer->from_segment_start || uplink->next < uplink->first)
		uplink->next = uplink->first;
	if (journal_is_behind(uplink))
		log_error("the hub holds this agent's records up to %" PRIu64
			  ", more than the journal has: seconds that are numbered alike are lost; "
			  "remove %s while vowd is stopped to begin a new one",
			  answer->committed_seq, uplink->options.journal);
	/* What the hub has not got by now never reached it: whatever was claimed before is free. */
	if (claim_write(uplink, answer->committed_seq) ||
	    journal_reader_seek(uplink->reader, uplink->next)) {
		rpc_client_disconnect(uplink->client);
		return;
	}
	log_info("hub %s: connected, going on with record %" PRIu64, uplink->options.hub.target,
		 uplink->next);
	uplink->state = UPLINK_STREAMING;
	uplink->sent = 0;
	uplink->alone = false;
	uplink->failures = 0;
	uplink->last_text[0] = '\0';
}

static void on_message(void *arg, const uint8_t *bytes, size_t size)
{
	struct uplink *uplink = arg;
	struct stream_from_hub answer;
	struct diag d;

	if (stream_from_hub_decode(bytes, size, &answer, &d)) {
		log_diag(LOG_LEVEL_ERROR, &d, "cannot read the hub's answer");
		rpc_client_disconnect(uplink->client);
		return;
	}
	uplink->heard = clock_mono();
	uplink->credits = answer.credits;
	if (uplink->state == UPLINK_ASKED) {
		uplink->committed = answer.committed_seq;
		uplink->written = 0;
		uplink_begin(uplink, &answer);
		uplink_pump(uplink);
		return;
	}
	/* What it answers of one that went alone is that one: nothing else was on its way. */
	suspect_answered(&uplink->suspect, uplink->alone ? uplink->sent : answer.committed_seq);
	uplink->alone = false;
	if (answer.committed_seq > uplink->committed) {
		uplink->committed = answer.committed_seq;
		log_debug("hub %s: acknowledged up to %" PRIu64, uplink->options.hub.target,
			  uplink->committed);
	}
	uplink_pump(uplink);
}

static void on_writable(void *arg)
{
	struct uplink *uplink = arg;

	uplink->busy = false;
	uplink_pump(uplink);
}

/* The same reason again and again is one line. */
static void uplink_tell_closed(struct uplink *uplink, const char *text)
{
	if (strncmp(uplink->last_text, text, sizeof(uplink->last_text) - 1) != 0)
		log_warn("hub %s: %s; trying again, what is measured waits in the journal",
			 uplink->options.hub.target, text[0] ? text : "the stream ended");
	snprintf(uplink->last_text, sizeof(uplink->last_text), "%s", text);
}

/* The record that is set aside from now on; its bytes are kept for whoever looks for the reason. */
static void uplink_set_aside(struct uplink *uplink, uint64_t seq)
{
	struct journal_record record;
	struct diag d;
	int rc = journal_reader_seek(uplink->reader, seq);

	rc = rc ? rc : journal_reader_next(uplink->reader, &record, &d);
	log_error("hub %s cannot read record %" PRIu64 ", not even alone: it goes on without what "
		  "is in it, which counts as lost",
		  uplink->options.hub.target, seq);
	if (rc != 1 || record.seq != seq)
		return; /* gone meanwhile */
	if (refused_keep(uplink->options.refused, uplink->epoch, &record, &d))
		log_diag(LOG_LEVEL_WARN, &d, "the record is not kept");
	else
		log_info("record %" PRIu64 " is kept in %s", seq, uplink->options.refused);
}

/* The hub could make nothing of a message of ours. */
static void uplink_refused(struct uplink *uplink)
{
	if (suspect_refused(&uplink->suspect, uplink->sent) == SUSPECT_SET_ASIDE)
		uplink_set_aside(uplink, uplink->sent);
}

static void on_closed(void *arg, enum rpc_status status, const char *text)
{
	struct uplink *uplink = arg;
	dur_ns wait;

	position_write(uplink);
	if (uplink->state == UPLINK_STREAMING && status == RPC_INVALID_ARGUMENT && uplink->sent)
		uplink_refused(uplink);
	if (uplink->state == UPLINK_STREAMING && uplink->next <= uplink->claimed)
		(void)claim_write(uplink, uplink->next - 1); /* else more than needed is kept */
	reader_close(uplink);
	uplink->state = UPLINK_WAITING;
	uplink->busy = false;
	uplink->retry_due = false;
	wait = backoff_wait(uplink->failures, is_refusal(status), random_unit());
	if (uplink->failures < 100)
		uplink->failures++;
	/* What our own disk refuses was told, and is no word of the hub. */
	if (status != RPC_CANCELLED || !uplink->unclaimed)
		uplink_tell_closed(uplink, text);
	log_debug("hub %s: failed %u times, again in %" PRIu64 " ms", uplink->options.hub.target,
		  uplink->failures, wait / NS_PER_MS);
	loop_timer_again(uplink->retry, wait, 0);
}

/* ---- life ------------------------------------------------------------------------------------- */

static void heartbeat(void *arg)
{
	struct uplink *uplink = arg;
	dur_ns silent = clock_mono() - uplink->heard;

	position_write(uplink);
	if ((uplink->state == UPLINK_ASKED && silent > ANSWER_LIMIT) ||
	    (uplink->state == UPLINK_STREAMING && (in_flight(uplink) || uplink->alone) &&
	     silent > SILENCE_LIMIT)) {
		log_warn("hub %s: no answer for %" PRIu64 " s", uplink->options.hub.target,
			 silent / NS_PER_S);
		rpc_client_disconnect(uplink->client);
	}
}

int uplink_new(struct loop *loop, const struct uplink_options *options, struct uplink **out,
	       struct diag *d)
{
	struct uplink *uplink = calloc(1, sizeof(*uplink));
	const struct rpc_client_handlers handlers = {on_opened, on_message, on_writable, on_closed,
						     uplink};
	int rc;

	if (!uplink)
		return diag_errno(d, -ENOMEM, options->hub.target, NULL, "cannot connect");
	uplink->options = *options;
	rc = rpc_client_new(loop, &options->hub, &handlers, &uplink->client, d);
	if (!rc) {
		uplink->outbox = outbox_new();
		uplink->retry = loop_timer_start(loop, 0, 0, retry_due, uplink);
		uplink->heartbeat = loop_timer_start(loop, HEARTBEAT, HEARTBEAT, heartbeat, uplink);
		if (!uplink->outbox || !uplink->retry || !uplink->heartbeat)
			rc = diag_errno(d, -ENOMEM, options->hub.target, NULL, "cannot connect");
	}
	if (rc) {
		uplink_free(uplink);
		return rc;
	}
	*out = uplink;
	return 0;
}

void uplink_free(struct uplink *uplink)
{
	if (!uplink)
		return;
	position_write(uplink);
	rpc_client_free(uplink->client);
	loop_timer_stop(uplink->retry);
	loop_timer_stop(uplink->heartbeat);
	reader_close(uplink);
	outbox_free(uplink->outbox);
	free(uplink);
}

void uplink_grown(struct uplink *uplink)
{
	if (uplink->state == UPLINK_WAITING && uplink->retry_due)
		uplink_connect(uplink);
	else
		uplink_pump(uplink);
}

void uplink_replaced(struct uplink *uplink)
{
	log_info("the journal is a new one");
	if (uplink->state == UPLINK_WAITING)
		return; /* the next attempt opens it */
	rpc_client_disconnect(uplink->client);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/body.h"
#include "deliver/webhook.h"
#include "export/dead_letters.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/data/journal.h"
#include "proto/tick.h"

#define READER_NAME "deliver"
/* Of a journal met for the first time: nobody is woken for what was over long before. */
#define FIRST_AGE_MAX NS_PER_H
/* Records read in one go, so that a long journal does not keep the loop from the hub. */
#define RECORDS_AT_ONCE 64
#define HEARTBEAT	(2 * NS_PER_S) /* how often the position is written, at most */
#define WARN_EVERY	(60 * NS_PER_S) /* that a receiver fails */

struct pending { /* a record of which not everything is delivered */
	uint64_t seq;
	unsigned left; /* messages, and one while the record is being read */
};

struct notify {
	struct notify_options options;
	struct webhook_sender *sender;
	struct dead_letters *letters;
	struct journal_reader *reader; /* NULL while there is no journal */
	struct loop_timer *more, *heartbeat;
	bool has_receivers;
	uint64_t read_to, written; /* sequence numbers */
	int unread, unwritten; /* why the journal or the position failed last; 0 it did not */
	wall_ns skip_before; /* actions older than this are not posted; 0: none */
	uint64_t skipped;
	mono_ns warned; /* when a failing receiver was last logged */

	struct pending *pending; /* in order of seq; [head, head + count) of room */
	size_t head, count, room;
};

/* ---- what is not delivered yet ---------------------------------------------------------------- */

static struct pending *pending_find(struct notify *notify, uint64_t seq)
{
	size_t low = notify->head, high = notify->head + notify->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (notify->pending[middle].seq < seq)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == notify->head + notify->count || notify->pending[low].seq != seq)
		return NULL;
	return &notify->pending[low];
}

static int pending_push(struct notify *notify, uint64_t seq)
{
	struct pending *begun = pending_find(notify, seq);

	/* The memory for its later actions lacked: it is read once more, and messages repeat. */
	if (begun) {
		begun->left++;
		return 0;
	}
	if (notify->head + notify->count == notify->room) {
		size_t room = notify->count * 2 + 16;
		struct pending *grown = malloc(room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		if (notify->count)
			memcpy(grown, notify->pending + notify->head,
			       notify->count * sizeof(*grown));
		free(notify->pending);
		notify->pending = grown;
		notify->room = room;
		notify->head = 0;
	}
	notify->pending[notify->head + notify->count++] = (struct pending){seq, 1};
	return 0;
}

static void pending_drop_one(struct notify *notify, uint64_t seq)
{
	struct pending *pending = pending_find(notify, seq);

	/* Messages of a journal that was replaced are of no record any more. */
	if (pending && pending->left)
		pending->left--;
	while (notify->count && notify->pending[notify->head].left == 0) {
		notify->head++;
		notify->count--;
	}
}

static void position_write(struct notify *notify)
{
	uint64_t done = notify->count ? notify->pending[notify->head].seq - 1 : notify->read_to;
	int rc;

	if (!notify->reader || done <= notify->written)
		return;
	rc = journal_reader_commit(notify->reader, done);
	/* Tried again every few seconds: the same reason is one line. */
	if (rc && rc != notify->unwritten)
		log_warn("cannot write the position in %s: %s; after a restart messages repeat",
			 notify->options.journal, strerror(-rc));
	else if (!rc && notify->unwritten)
		log_info("the position in %s can be written again", notify->options.journal);
	if (!rc)
		notify->written = done;
	notify->unwritten = rc;
}

/* ---- what came of messages -------------------------------------------------------------------- */

static void on_letter_kept(void *arg, uint64_t seq)
{
	pending_drop_one(arg, seq);
}

static void dead_letter_add(struct notify *notify, const struct webhook_result *result)
{
	const struct body_dead_letter letter = {
		.id = result->id,
		.type = result->type,
		.receiver = result->receiver,
		.class = result->class,
		.status = result->status,
		.tries = result->tries,
		.first_try = result->first_try,
		.last_try = result->last_try,
		.body = result->body,
	};

	/* The position stays before its record: a restart posts it again. */
	if (dead_letters_add(notify->letters, &letter, result->cookie))
		log_error("no memory for the dead letter %s", result->id);
}

static void on_done(void *arg, const struct webhook_result *result)
{
	struct notify *notify = arg;

	if (result->class == RETRY_ACCEPTED) {
		log_info("%s %s: accepted by %s after %u tr%s", result->type, result->id,
			 result->receiver, result->tries, result->tries == 1 ? "y" : "ies");
		pending_drop_one(notify, result->cookie);
	} else {
		log_error("%s %s: given up for %s after %u tr%s: %s; it is for %s", result->type,
			  result->id, result->receiver, result->tries,
			  result->tries == 1 ? "y" : "ies", result->error,
			  notify->options.dead_letters);
		dead_letter_add(notify, result);
	}
}

static void on_failed(void *arg, const struct webhook_result *result, dur_ns wait)
{
	struct notify *notify = arg;
	mono_ns now = clock_mono();
	char text[STR_FIGURE_SIZE];

	if (result->tries > 1 && now - notify->warned < WARN_EVERY)
		return;
	notify->warned = now;
	log_warn("%s %s: %s failed (%s): %s; again in %s", result->type, result->id,
		 result->receiver, retry_class_name(result->class), result->error,
		 str_format_dur(text, sizeof(text), wait));
}

/* ---- reading actions -------------------------------------------------------------------------- */

struct posting { /* of one record */
	struct notify *notify;
	uint64_t seq;
	unsigned index; /* of the action in the record */
};

static int post_action(void *arg, const struct action *action)
{
	struct posting *posting = arg;
	struct notify *notify = posting->notify;
	bool is_alert = action->kind == ACTION_ALERT;
	char id[80];
	struct webhook_message message = {
		.id = id,
		.key = is_alert ? action->alert.fingerprint : action->scale.scaler,
		.type = body_type(action),
		.cookie = posting->seq,
	};
	unsigned index = posting->index++;
	char *body;
	int reached;

	if (!message.type)
		return 0;
	if (action->at < notify->skip_before) {
		notify->skipped++;
		return 0;
	}
	/* Names the action for ever: receivers know a repeat by it. */
	snprintf(id, sizeof(id), "vow_%016" PRIx64 "_%" PRIu64 "_%u",
		 journal_reader_epoch(notify->reader), posting->seq, index);
	body = body_of_action(action, id, notify->options.host);
	if (!body)
		return -ENOMEM;
	message.body = body;
	reached = webhook_post(notify->sender, is_alert, &message);
	free(body);
	if (reached < 0)
		return reached;
	pending_find(notify, posting->seq)->left += (unsigned)reached;
	return 0;
}

static int record_post(struct notify *notify, const struct journal_record *record)
{
	static const struct tick_visitor visitor = {.action = post_action};
	struct posting posting = {notify, record->seq, 0};
	struct diag d;
	int rc = pending_push(notify, record->seq);

	if (rc)
		return rc;
	rc = tick_read(record->wire, record->wire_size, &visitor, &posting, &d);
	pending_drop_one(notify, record->seq);
	if (rc == -EPROTO) {
		log_diag(LOG_LEVEL_ERROR, &d, "actions of a record cannot be told");
		rc = 0;
	}
	return rc;
}

static bool reader_ready(struct notify *notify)
{
	uint64_t position;

	if (notify->reader)
		return true;
	if (journal_reader_open(notify->options.journal, READER_NAME, 0, &notify->reader, NULL))
		return false;
	position = journal_position(notify->options.journal, READER_NAME,
				    journal_reader_epoch(notify->reader));
	notify->read_to = notify->written = position;
	notify->skip_before = position ? 0 : clock_wall() - FIRST_AGE_MAX;
	notify->skipped = 0;
	if (position)
		journal_reader_seek(notify->reader, position + 1);
	return true;
}

/* 1: one was read. 0: nothing more. Or a negative errno. */
static int record_next(struct notify *notify)
{
	struct journal_record record;
	struct diag d;
	int rc = journal_reader_next(notify->reader, &record, &d);

	if (rc == -EPROTO)
		return 1; /* logged by the uplink; it went past */
	if (rc <= 0)
		return rc;
	if (notify->has_receivers)
		rc = record_post(notify, &record);
	if (rc < 0)
		return rc;
	notify->read_to = record.seq;
	return 1;
}

static void read_more(void *arg)
{
	struct notify *notify = arg;
	int rc = 1;

	if (!reader_ready(notify))
		return;
	for (unsigned i = 0; i < RECORDS_AT_ONCE && rc == 1; i++)
		rc = record_next(notify);
	if (rc == 0 && notify->skipped) {
		log_info("%" PRIu64 " alerts and decisions older than an hour were not posted",
			 notify->skipped);
		notify->skipped = 0;
	}
	if (rc == -ESTALE) {
		notify_replaced(notify);
	} else if (rc < 0) {
		/* Memory or the disk: from where it stopped, in a while. */
		if (rc != notify->unread)
			log_error("cannot read %s: %s", notify->options.journal, strerror(-rc));
		journal_reader_seek(notify->reader, notify->read_to + 1);
		loop_timer_again(notify->more, NS_PER_S, 0);
	} else if (rc == 1) {
		loop_timer_again(notify->more, 0, 0);
	}
	notify->unread = rc < 0 ? rc : 0;
}

/* ---- life ------------------------------------------------------------------------------------- */

static void heartbeat(void *arg)
{
	struct notify *notify = arg;

	dead_letters_write(notify->letters);
	position_write(notify);
}

int notify_configure(struct notify *notify, const struct vow_config *config, struct diag *d)
{
	int rc =
		webhook_set_receivers(notify->sender, config->receivers, config->receiver_count, d);

	if (!rc)
		notify->has_receivers = config->receiver_count > 0;
	return rc;
}

int notify_new(struct loop *loop, const struct notify_options *options,
	       const struct vow_config *config, struct notify **out, struct diag *d)
{
	struct notify *notify = calloc(1, sizeof(*notify));
	const struct webhook_handlers handlers = {on_done, on_failed, notify};
	int rc = -ENOMEM;

	if (!notify)
		return diag_errno(d, -ENOMEM, options->journal, NULL, "cannot notify");
	notify->options = *options;
	notify->sender = webhook_new(loop, &handlers);
	notify->letters = dead_letters_new(options->dead_letters, on_letter_kept, notify);
	notify->more = loop_timer_start(loop, 0, 0, read_more, notify);
	notify->heartbeat = loop_timer_start(loop, HEARTBEAT, HEARTBEAT, heartbeat, notify);
	if (notify->sender && notify->letters && notify->more && notify->heartbeat)
		rc = notify_configure(notify, config, d);
	else
		diag_errno(d, -ENOMEM, options->journal, NULL, "cannot notify");
	if (rc) {
		notify_free(notify);
		return rc;
	}
	*out = notify;
	return 0;
}

static void reader_forget(struct notify *notify)
{
	journal_reader_close(notify->reader);
	notify->reader = NULL;
	notify->head = notify->count = 0;
}

void notify_free(struct notify *notify)
{
	if (!notify)
		return;
	dead_letters_free(notify->letters);
	position_write(notify);
	webhook_free(notify->sender);
	loop_timer_stop(notify->more);
	loop_timer_stop(notify->heartbeat);
	reader_forget(notify);
	free(notify->pending);
	free(notify);
}

void notify_grown(struct notify *notify)
{
	loop_timer_again(notify->more, 0, 0);
}

void notify_replaced(struct notify *notify)
{
	/* What was posted already goes on; positions of that journal mean nothing any more. */
	reader_forget(notify);
	notify_grown(notify);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/runtime.h"

#include <errno.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <signal.h>

static void log_nothing(gpr_log_func_args *args)
{
	(void)args;
}

void rpc_runtime_start(void)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	gpr_set_log_function(log_nothing);
	grpc_init();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void rpc_runtime_stop(void)
{
	grpc_shutdown_blocking();
}

gpr_timespec rpc_deadline(dur_ns from_now)
{
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
			    gpr_time_from_nanos((int64_t)from_now, GPR_TIMESPAN));
}

grpc_byte_buffer *rpc_buffer_new(const uint8_t *bytes, size_t size)
{
	grpc_slice slice = grpc_slice_from_copied_buffer((const char *)bytes, size);
	grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);

	grpc_slice_unref(slice); /* the buffer holds its own reference */
	return buffer;
}

int rpc_buffer_read(grpc_byte_buffer *buffer, grpc_slice *slice)
{
	grpc_byte_buffer_reader reader;

	if (!grpc_byte_buffer_reader_init(&reader, buffer))
		return -EPROTO;
	*slice = grpc_byte_buffer_reader_readall(&reader);
	grpc_byte_buffer_reader_destroy(&reader);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/stat.h>

#include "collectors/host/host_proc.h"
#include "tests/unit/check.h"

static void file_make(const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", check_dir(), name);
	file = fopen(path, "w");
	CHECK(file);
	fputs(text, file);
	fclose(file);
}

static void folders_make(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/net", check_dir());
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/pressure", check_dir());
	mkdir(path, 0700);
}

/* Opens, reads and closes. */
static void read_once(const char *proc, struct host_proc *p)
{
	struct host_proc_files files;

	host_proc_open(&files, proc);
	host_proc_read(&files, p);
	host_proc_close(&files);
}

CHECK_TEST(test_figures_are_read_from_their_files)
{
	struct host_proc p;

	folders_make();
	file_make("stat", "cpu  100 10 50 800 40 5 5 20 7 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n");
	file_make("loadavg", "1.25 0.50 0.25 2/300 4711\n");
	file_make("meminfo",
		  "MemTotal:        1000 kB\nMemFree:  1 kB\nMemAvailable:     250 kB\n");
	file_make("pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1111\n"
				  "full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n");
	file_make("pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=2222\n");
	file_make("pressure/io", "some avg10=0.00 avg60=0.00 avg300=0.00 total=3333\n");
	file_make("net/snmp", "Ip: Forwarding OutSegs\nIp: 1 99\n"
			      "Tcp: RtoMin MaxConn OutSegs RetransSegs\nTcp: 200 -1 777 12\n");
	file_make("net/netstat",
		  "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 34 35\n");
	file_make("net/sockstat", "sockets: used 88\nTCP: inuse 4 orphan 0\n");
	read_once(check_dir(), &p);
	CHECK_EQ_U64(p.parts, HOST_PARTS);
	CHECK_EQ_U64(p.cpu_total, 1030);
	CHECK_EQ_U64(p.cpu_busy, 190);
	CHECK_NEAR(p.load1, 1.25, 1e-9);
	CHECK_EQ_U64(p.memory_total_bytes, 1024000);
	CHECK_EQ_U64(p.memory_available_bytes, 256000);
	CHECK_EQ_U64(p.stalled_us[HOST_PRESSURE_CPU], 1111);
	CHECK_EQ_U64(p.stalled_us[HOST_PRESSURE_MEMORY], 2222);
	CHECK_EQ_U64(p.stalled_us[HOST_PRESSURE_IO], 3333);
	CHECK_EQ_U64(p.tcp_sent, 777);
	CHECK_EQ_U64(p.tcp_retransmits, 12);
	CHECK_EQ_U64(p.listen_overflows, 34);
	CHECK_EQ_U64(p.listen_drops, 35);
	CHECK_EQ_U64(p.sockets, 88);
}

CHECK_TEST(test_missing_and_broken_files_are_absent_parts)
{
	struct host_proc p;

	read_once(check_dir(), &p);
	CHECK_EQ_U64(p.parts, 0);
	folders_make();
	file_make("stat", "cpu  100 10\n");
	file_make("meminfo", "MemTotal: 0 kB\nMemAvailable: 1 kB\n");
	file_make("loadavg", "0.00\n");
	file_make("net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 1\n");
	file_make("net/netstat", "TcpExt: ListenOverflows");
	read_once(check_dir(), &p);
	CHECK_EQ_U64(p.parts, HOST_LOAD);
}

CHECK_TEST(test_this_host_is_read)
{
	struct host_proc p;

	read_once("/proc", &p);
	CHECK_EQ_U64(p.parts & (HOST_CPU | HOST_LOAD | HOST_MEMORY),
		     HOST_CPU | HOST_LOAD | HOST_MEMORY);
	CHECK_LE_U64(p.cpu_busy, p.cpu_total);
	CHECK_LE_U64(p.memory_available_bytes, p.memory_total_bytes);
}

CHECK_TEST(test_open_files_tell_what_is_new)
{
	struct host_proc_files files;
	struct host_proc before, after;

	folders_make();
	file_make("loadavg", "0.25 0 0 1/2 3\n");
	file_make("net/sockstat", "sockets: used 88\n");
	host_proc_open(&files, check_dir());
	host_proc_read(&files, &before);
	file_make("loadavg", "0.75 0 0 1/2 3\n");
	file_make("net/sockstat", "sockets: used 9\n");
	host_proc_read(&files, &after);
	host_proc_close(&files);
	CHECK_NEAR(before.load1, 0.25, 1e-9);
	CHECK_EQ_U64(before.sockets, 88);
	CHECK_NEAR(after.load1, 0.75, 1e-9);
	CHECK_EQ_U64(after.sockets, 9);
	/* And those of this host's /proc: ticks have passed when its clock has. */
	host_proc_open(&files, "/proc");
	host_proc_read(&files, &before);
	do {
		host_proc_read(&files, &after);
	} while (after.cpu_total == before.cpu_total);
	host_proc_close(&files);
	CHECK(after.cpu_total > before.cpu_total);
	CHECK_EQ_U64(after.parts, before.parts);
}

CHECK_MAIN("host_proc", test_figures_are_read_from_their_files,
	   test_missing_and_broken_files_are_absent_parts, test_this_host_is_read,
	   test_open_files_tell_what_is_new)

/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the first messages of a TLS connection say in plain text: whom the client wants to speak to
 * (server_name), which protocols it offers (ALPN), which version and cipher the server takes, and until TLS 1.2 which protocol. Kernel side;
 * once for each connection, reading user memory in small pieces.
 */
#ifndef VOW_BPF_TLS_HELLO_H
#define VOW_BPF_TLS_HELLO_H

#include "bpf/kernel.h"
#include "bpf/peer_name.h"

#define HELLO_RANDOM_END     38 /* type, length (3), version (2), random (32) */
#define HELLO_SERVER_NAME    0 /* the extension's number */
#define HELLO_ALPN	     16
#define HELLO_EXTENSIONS_MAX 32 /* browsers send 18 */
#define HELLO_PROTOCOLS_MAX  8
#define HELLO_H2	     0x10000 /* beside a cipher */
#define HELLO_UNCLEAR	     (~0U)

/* One message, as far as it lies in one piece of user memory. */
struct tls_hello {
	__u64 at;
	__u32 length; /* bytes there */
	__u32 offset; /* how far it is read */
};

/* Takes n bytes, at most 8, as a number in the byte order of the network; ~0 when there are none. */
static __always_inline __u64 hello_take(struct tls_hello *hello, __u32 n)
{
	__u64 word = 0;

	if (hello->offset + n > hello->length ||
	    bpf_probe_read_user(&word, n, (const void *)(hello->at + hello->offset)))
		return ~0ULL;
	hello->offset += n;
	return __builtin_bswap64(word) >> (64 - 8 * n);
}

/* Skips a field of variable length, whose own takes n bytes. False when it ends behind the piece. */
static __always_inline bool hello_skip(struct tls_hello *hello, __u32 n)
{
	__u64 length = hello_take(hello, n);

	if (length > hello->length)
		return false;
	hello->offset += length;
	return hello->offset <= hello->length;
}

/* Goes behind the random part of a message of this type, and ends the piece where the message ends. */
static __always_inline bool hello_enter(struct tls_hello *hello, __u8 type)
{
	__u64 head = hello_take(hello, 4);

	if (head >> 24 != type)
		return false;
	head = (head & 0xffffff) + 4;
	if (head > hello->length || head < HELLO_RANDOM_END)
		return false;
	hello->length = head;
	hello->offset = HELLO_RANDOM_END;
	return true;
}

/* Whether "h2" is, or may be, in the list of protocols at the offset. */
static __always_inline bool hello_protocols(struct tls_hello *hello, __u32 end)
{
	hello->offset += 2;
#pragma clang loop unroll(disable)
	for (int i = 0; i < HELLO_PROTOCOLS_MAX; i++) {
		__u32 at = hello->offset;

		if (at >= end)
			return false;
		if (hello_take(hello, 3) == ('h' << 8 | '2' | 2 << 16))
			return true;
		hello->offset = at;
		if (!hello_skip(hello, 1))
			break;
	}
	return true;
}

/*
 * Goes to what the extension of this number says, among those that begin at the offset. Returns its
 * end; 0: there is none; HELLO_UNCLEAR: they cannot be read to their end.
 */
static __always_inline __u32 hello_find(struct tls_hello *hello, __u32 number)
{
	hello->offset += 2;
#pragma clang loop unroll(disable)
	for (int i = 0; i < HELLO_EXTENSIONS_MAX; i++) {
		__u64 extension;
		__u32 end;

		if (hello->offset >= hello->length)
			return 0;
		extension = hello_take(hello, 4);
		end = hello->offset + (extension & 0xffff);
		if (extension > ~0U || end > hello->length)
			break;
		if (extension >> 16 == number)
			return end;
		hello->offset = end;
	}
	return HELLO_UNCLEAR;
}

/* Whether the extensions that begin at the offset name "h2"; true as well when they do not tell. */
static __always_inline bool hello_extensions(struct tls_hello *hello)
{
	__u32 end = hello_find(hello, HELLO_ALPN);

	return end == HELLO_UNCLEAR || (end && hello_protocols(hello, end));
}

/* Goes to the extensions of a ClientHello. False when they are not in the piece. */
static __always_inline bool hello_enter_client(struct tls_hello *hello)
{
	return hello_enter(hello, 1) && hello_skip(hello, 1) && hello_skip(hello, 2) &&
	       hello_skip(hello, 1);
}

/* Whether the ClientHello in these bytes offers HTTP/2, or may do so where it does not tell. */
__checked_once int hello_offers_h2(__u64 at, __u32 length)
{
	struct tls_hello hello = {.at = at, .length = length};

	return !hello_enter_client(&hello) || hello_extensions(&hello);
}

/*
 * Keeps the name that the ClientHello in these bytes gives to the server, if it has one. In a tunnel
 * the connection has one already, with the port to which it goes.
 */
__checked_once int hello_name(struct http_record *r, __u64 at, __u32 length)
{
	struct tls_hello hello = {.at = at, .length = length};
	struct http_peer_name name = {};
	__u64 head;
	__u32 end, n;

	if (!r || r->peer.words[0] || !hello_enter_client(&hello))
		return 0;
	end = hello_find(&hello, HELLO_SERVER_NAME);
	if (!end || end == HELLO_UNCLEAR)
		return 0;
	/* Length of the list, type (0: of a host), length of the name. */
	head = hello_take(&hello, 5);
	n = head & 0xffff;
	if (head >> 40 || head >> 16 & 0xff || hello.offset + n > end || n >= HTTP_PEER_NAME)
		return 0;
	asm volatile("%0 &= 63" : "+r"(n));
	if (n < HTTP_PEER_NAME &&
	    !bpf_probe_read_user(name.words, n, (const void *)(at + hello.offset)) &&
	    peer_name_valid(&name)) {
		r->peer = name;
		r->flags |= HTTP_NAMED;
	}
	return 0;
}

/*
 * The cipher that the ServerHello in these bytes takes, plus HELLO_H2 when it takes HTTP/2, or may
 * do so; 0 when there is none.
 */
__checked_once int hello_answers(__u64 at, __u32 length)
{
	struct tls_hello hello = {.at = at, .length = length};
	__u64 cipher;

	if (!hello_enter(&hello, 2) || !hello_skip(&hello, 1))
		return 0;
	cipher = hello_take(&hello, 2);
	if (cipher > 0xffff)
		return 0;
	hello.offset++; /* compression */
	return cipher | (hello_extensions(&hello) ? HELLO_H2 : 0);
}

#endif

/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The calls of OpenSSL that are probed, for both sides. */
#ifndef VOW_BPF_TLS_CALL_H
#define VOW_BPF_TLS_CALL_H

enum tls_call {
	TLS_READ, /* int SSL_read(ssl, buffer, int size): bytes, or <= 0 */
	TLS_READ_EX, /* int SSL_read_ex(ssl, buffer, size, size_t *bytes): 1, or <= 0 */
	TLS_WRITE,
	TLS_WRITE_EX,
	TLS_HANDSHAKE, /* int SSL_do_handshake(ssl) */
	TLS_FREE, /* void SSL_free(ssl): only its enter matters */
	TLS_CALLS
};

#endif

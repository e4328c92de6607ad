/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "rpc/runtime.h"

#define PEM_MAX_BYTES (1 << 20) /* a bundle of all public CAs has 220 KiB */

struct pem { /* contents of the three files */
	char *ca, *certificate, *key;
};

struct rpc_certificates {
	char *paths[3]; /* CA, certificate, key */
	struct timespec changed[3]; /* when what gRPC has was last changed */
};

static void pem_free(struct pem *pem)
{
	free(pem->ca);
	free(pem->certificate);
	if (pem->key)
		explicit_bzero(pem->key, strlen(pem->key));
	free(pem->key);
}

static int pem_read(const char *path, char **text, struct diag *d)
{
	size_t size;

	return fd_read_file(path, PEM_MAX_BYTES, text, &size, d);
}

static int pem_load(const char *const paths[3], struct pem *pem, struct diag *d)
{
	int rc = pem_read(paths[0], &pem->ca, d);

	if (!rc)
		rc = pem_read(paths[1], &pem->certificate, d);
	if (!rc)
		rc = pem_read(paths[2], &pem->key, d);
	return rc;
}

/* 0: plain, 1: all three are there. */
static int tls_wanted(const struct rpc_tls *tls, const char *paths[3], struct diag *d)
{
	unsigned set = 0;

	paths[0] = tls->ca;
	paths[1] = tls->certificate;
	paths[2] = tls->key;
	for (unsigned i = 0; i < 3; i++)
		set += paths[i] && paths[i][0];
	if (set == 0 || set == 3)
		return set == 3;
	return diag_set(d, -EINVAL, "tls", "give all three, or none for plain text",
			"ca, certificate and key belong together");
}

int rpc_client_credentials(const struct rpc_tls *tls, grpc_channel_credentials **credentials,
			   struct diag *d)
{
	const char *paths[3];
	struct pem pem = {0};
	int rc = tls_wanted(tls, paths, d);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		*credentials = grpc_insecure_credentials_create();
		return 0;
	}
	rc = pem_load(paths, &pem, d);
	if (!rc) {
		grpc_ssl_pem_key_cert_pair pair = {pem.key, pem.certificate};

		*credentials = grpc_ssl_credentials_create(pem.ca, &pair, NULL, NULL);
		if (!*credentials)
			rc = diag_set(d, -EINVAL, paths[1], "check that they are PEM",
				      "gRPC refused the certificates");
	}
	pem_free(&pem);
	return rc;
}

/* Whether a file changed since, with its new time in now. A file that is gone did not change. */
static bool files_changed(const struct rpc_certificates *source, struct timespec now[3])
{
	bool changed = false;

	for (unsigned i = 0; i < 3; i++) {
		struct stat st;

		now[i] = source->changed[i];
		if (stat(source->paths[i], &st) == 0)
			now[i] = st.st_mtim;
		changed |= now[i].tv_sec != source->changed[i].tv_sec ||
			   now[i].tv_nsec != source->changed[i].tv_nsec;
	}
	return changed;
}

/* gRPC asks before each handshake: a renewed certificate serves from the next connection on. */
static grpc_ssl_certificate_config_reload_status certificates_fetch(
	void *arg, grpc_ssl_server_certificate_config **config)
{
	struct rpc_certificates *source = arg;
	struct timespec now[3];
	struct pem pem = {0};

	if (!files_changed(source, now))
		return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
	if (pem_load((const char *const *)source->paths, &pem, NULL) == 0) {
		grpc_ssl_pem_key_cert_pair pair = {pem.key, pem.certificate};

		*config = grpc_ssl_server_certificate_config_create(pem.ca, &pair, 1);
		memcpy(source->changed, now, sizeof(now));
	}
	pem_free(&pem);
	/* FAIL keeps what was loaded before; the next handshake tries again. */
	return *config ? GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW
		       : GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;
}

int rpc_server_credentials(const struct rpc_tls *tls, grpc_server_credentials **credentials,
			   struct rpc_certificates **source, struct diag *d)
{
	grpc_ssl_server_credentials_options *options;
	struct rpc_certificates *made;
	const char *paths[3];
	struct pem pem = {0};
	int rc = tls_wanted(tls, paths, d);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		*credentials = grpc_insecure_server_credentials_create();
		return 0;
	}
	rc = pem_load(paths, &pem, d); /* unreadable files are an error now, not at a handshake */
	pem_free(&pem);
	if (rc)
		return rc;
	made = calloc(1, sizeof(*made));
	for (unsigned i = 0; made && i < 3; i++)
		if (!(made->paths[i] = strdup(paths[i]))) {
			rpc_certificates_free(made);
			made = NULL;
		}
	if (!made)
		return diag_errno(d, -ENOMEM, "tls", NULL, "cannot prepare certificates");
	options = grpc_ssl_server_credentials_create_options_using_config_fetcher(
		GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, certificates_fetch,
		made);
	*credentials = grpc_ssl_server_credentials_create_with_options(options);
	*source = made;
	return 0;
}

void rpc_certificates_free(struct rpc_certificates *source)
{
	if (!source)
		return;
	for (unsigned i = 0; i < 3; i++)
		free(source->paths[i]);
	free(source);
}

/* A name that is empty, has a NUL inside or must be cut would stand for others as well: no name. */
static bool identity_by(const grpc_auth_context *context, const char *name, char *buf, size_t size)
{
	grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(context, name);
	const grpc_auth_property *property = grpc_auth_property_iterator_next(&it);

	if (!property || property->value_length == 0 || property->value_length >= size ||
	    memchr(property->value, '\0', property->value_length))
		return false;
	memcpy(buf, property->value, property->value_length);
	buf[property->value_length] = '\0';
	return true;
}

void rpc_identity(grpc_call *call, char *buf, size_t size)
{
	static const char *const names[] = {
		GRPC_PEER_SPIFFE_ID_PROPERTY_NAME,
		GRPC_X509_CN_PROPERTY_NAME,
		GRPC_X509_SAN_PROPERTY_NAME,
	};
	grpc_auth_context *context = grpc_call_auth_context(call);

	buf[0] = '\0';
	if (!context)
		return;
	for (size_t i = 0; i < ARRAY_LEN(names) && !buf[0]; i++)
		if (grpc_auth_context_peer_is_authenticated(context))
			identity_by(context, names[i], buf, size);
	grpc_auth_context_release(context);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The version of everything built from this tree; the Makefile reads it here for packages. */
#ifndef VOW_LIB_BASE_VERSION_H
#define VOW_LIB_BASE_VERSION_H

#define VOW_VERSION "0.1.0"

#endif

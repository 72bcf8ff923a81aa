/* SPDX-License-Identifier: Apache-2.0 */
typedef int floyd_empty_translation_unit;

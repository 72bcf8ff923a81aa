/* SPDX-License-Identifier: Apache-2.0 */
/* The commands. argv[0] is the command as the user typed it, "floydattn grad". Each returns an exit_status. */
#ifndef FLOYDATTN_CLI_COMMANDS_H
#define FLOYDATTN_CLI_COMMANDS_H

int forward_command(int argc, char **argv);
int grad_command(int argc, char **argv);
int info_command(int argc, char **argv);
int selftest_command(int argc, char **argv);
int bench_command(int argc, char **argv);

#endif

// A plugin of QEMU's user mode for ci/instructions: counts the instructions that a program has
// executed, and writes the count down at every system call `write` to the standard output. If the
// program prints line by line, each line has a count.
//
// Arguments: `counts=FILE`, and `write=N`, the number of the system call.
//
// QEMU's header is in no package of Debian, so the declarations are repeated here. They are those
// of version 1 of the interface, which QEMU 7.2 has.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct block;
struct instruction;

size_t qemu_plugin_tb_n_insns(const struct block *block);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*callback)(plugin_id, struct block *));
struct instruction *qemu_plugin_tb_get_insn(const struct block *block, size_t i);
void qemu_plugin_register_vcpu_insn_exec_inline(struct instruction *at, int operation, void *to, uint64_t number);
void qemu_plugin_register_vcpu_syscall_cb(
    plugin_id id,
    void (*callback)(plugin_id, unsigned cpu, int64_t number, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                     uint64_t, uint64_t, uint64_t));

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static const int ADD = 0;
static uint64_t count;
static int64_t write_number;
static FILE *counts;

// Blocks are not counted as a whole: an instruction that crosses a page is the last of one block
// and the first of the next, but only the second is executed.
static void on_translation(plugin_id id, struct block *block) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        qemu_plugin_register_vcpu_insn_exec_inline(qemu_plugin_tb_get_insn(block, i), ADD, &count, 1);
    }
}

static void on_system_call(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                           uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)cpu, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == write_number && a == 1) {
        fprintf(counts, "%llu\n", (unsigned long long)count);
        fflush(counts);
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "counts=", 7) == 0) {
            counts = fopen(argv[i] + 7, "w");
        } else if (strncmp(argv[i], "write=", 6) == 0) {
            write_number = atoll(argv[i] + 6);
        }
    }
    if (!counts || !write_number) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_system_call);
    return 0;
}

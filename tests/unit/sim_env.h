/*
 * LevelDB's files on a struct io: real LevelDB under power cuts.
 *
 * As LevelDB's own for POSIX: a sync of a manifest syncs the directory first,
 * nothing else does. It relies on names that become durable in order:
 * io_sim_order_names().
 */
#ifndef SIM_ENV_H
#define SIM_ENV_H

#ifdef __cplusplus
extern "C" {
#endif

struct io;
struct leveldb_env_t;

/* `io` outlives it; free it after the databases are closed. */
struct leveldb_env_t *sim_env_new(struct io *io);
void sim_env_free(struct leveldb_env_t *env);
/* While it is on, no new log can be made. */
void sim_env_refuse_logs(struct leveldb_env_t *env, int on);

#ifdef __cplusplus
}
#endif

#endif

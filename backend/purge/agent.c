/* The agent: a thread for each edge, until a signal. */
#include "purge/edge.h"
#include "purge/purge.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int purge_check(const char *config_path, struct buffer *error)
{
    struct purge_config *config;
    const int result = purge_config_load(config_path, &config, error);

    purge_config_free(config);
    return result;
}

/* Secrets of edges are in memory. */
static void harden(void)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) != 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        log_warn("core files cannot be turned off");
    }
}

static void wait_for_signal(const sigset_t *signals)
{
    int signal;

    do {
        signal = sigwaitinfo(signals, NULL);
    } while (signal < 0 && errno == EINTR);
    log_info("purge: stops, after what is on its way");
}

/* False: one of them cannot be started. */
static bool start(const struct purge_config *config, struct edge **edges,
                  int stop_fd)
{
    for (size_t i = 0; i < config->edge_count; i++) {
        edges[i] = edge_start(config, i, stop_fd);
        if (edges[i] == NULL) {
            return false;
        }
    }
    return true;
}

static int run(const struct purge_config *config, struct buffer *error)
{
    struct edge *edges[PURGE_EDGES_MAX] = {NULL};
    sigset_t signals;
    const int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    invariant(stop_fd >= 0);
    invariant(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    invariant(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
    const bool started = start(config, edges, stop_fd);
    if (started) {
        log_info("purge: %zu edges, %zu rules", config->edge_count,
                 config->rule_count);
        wait_for_signal(&signals);
    } else {
        buffer_append_string(error, "the secret of an edge cannot be read");
    }
    invariant(eventfd_write(stop_fd, 1) == 0);
    for (size_t i = 0; i < config->edge_count; i++) {
        edge_join(edges[i]);
    }
    curl_global_cleanup();
    close(stop_fd);
    return started ? 0 : -EINVAL;
}

int purge_run(const char *config_path, struct buffer *error)
{
    struct purge_config *config;
    int result = purge_config_load(config_path, &config, error);

    if (result != 0) {
        return result;
    }
    harden();
    signal(SIGPIPE, SIG_IGN);
    log_set_level(config->log_level);
    result = log_open(config->log[0] != '\0' ? config->log : NULL);
    if (result != 0) {
        buffer_printf(error, "%s: %s", config->log, strerror(-result));
    } else {
        result = run(config, error);
    }
    purge_config_free(config);
    return result == 0 ? 0 : -EINVAL;
}

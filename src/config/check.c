/* SPDX-License-Identifier: MIT
 * What the keys mean together: defaults that follow from other keys or from the machine, then checks that no single
 * key can make. Called by config_read after all values are in; what is wrong becomes a line of the report. */
#include "base/memory.h"
#include "config/reading.h"
#include "config/value.h"
#include "mail/address.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LABEL_SIZE 512
#define ACCEPTED_TEXT_MAXIMUM 400

static bool is_empty(const char *string) {
    return string == NULL || string[0] == '\0';
}

static void set(char **string, struct text value) {
    char *copy = memory_string(value);

    free(*string);
    *string = copy;
}

/* Replaces an empty string. */
static void set_default(char **string, const char *value) {
    if (is_empty(*string))
        set(string, text_of(value));
}

/* ---- identity ---- */

static void complete_names(struct config *config) {
    char host[HOST_NAME_MAX + 1] = "";
    struct buffer postmaster;

    if (is_empty(config->server_name)) {
        if (gethostname(host, sizeof host - 1) != 0 || !address_domain_is_valid(text_of(host), false))
            (void)text_copy(host, sizeof host, TEXT("localhost"));
        set(&config->server_name, text_of(host));
    }
    if (config->local_domains.count == 0) {
        config->local_domains.items = memory_resize(NULL, 1, sizeof(char *));
        config->local_domains.items[config->local_domains.count++] = memory_string(text_of(config->server_name));
    }
    for (size_t i = 0; i < config->local_domains.count; i++)
        text_lower(config->local_domains.items[i]);
    buffer_init(&postmaster, 512);
    (void)buffer_format(&postmaster, "postmaster@%s", config_main_domain(config));
    set_default(&config->postmaster, buffer_string(&postmaster));
    buffer_free(&postmaster);
    set_default(&config->srs_domain, config_main_domain(config));
    text_lower(config->srs_domain);
}

/* Beside users.db: the same user reads both. */
static void complete_secret(struct config *config) {
    const char *slash = strrchr(config->users_database, '/');
    size_t parent = slash != NULL ? (size_t)(slash - config->users_database) + 1 : 0;
    struct buffer path;

    buffer_init(&path, PATH_MAX + 64);
    (void)buffer_append(&path, config->users_database, parent);
    (void)buffer_append_string(&path, "srs.secret");
    set_default(&config->srs_secret_file, buffer_string(&path));
    set_default(&config->login_database, config->users_database);
    buffer_free(&path);
}

static bool is_delimiter(const char *value) {
    return is_empty(value) || (value[1] == '\0' && strchr("+-=_.#", value[0]) != NULL);
}

static void check_names(struct reading *reading) {
    struct config *config = reading->config;
    struct address address;

    if (address_parse(text_of(config->postmaster), false, &address) != ADDRESS_OK)
        reading_complain(reading, "postmaster", "an address such as postmaster@example.test", "is no address");
    if (!is_delimiter(config->recipient_delimiter))
        reading_complain(reading, "recipient_delimiter", "one of + - = _ . # or empty", "is none");
    if (is_empty(config->accepted_text) || strlen(config->accepted_text) > ACCEPTED_TEXT_MAXIMUM)
        reading_complain(reading, "accepted_text", "1 to 400 bytes", "is empty or too long"); /* RFC 5321 4.5.3.1.5 */
    if (is_empty(config->user_name) || is_empty(config->network_user) || is_empty(config->auth_user) ||
        is_empty(config->key_user) || is_empty(config->outside_user))
        reading_complain(reading, "user_name", "names of system users",
                         "user_name, network_user, auth_user, key_user, outside_user: empty");
}

/* ---- listeners ---- */

static void add_default_listen(struct config *config, long port, enum listen_role role, enum listen_tls tls) {
    struct buffer address;

    if (port == 0)
        return;
    buffer_init(&address, 16);
    (void)buffer_format(&address, "%ld", port);
    config->listens = memory_resize(config->listens, config->listen_count + 1, sizeof config->listens[0]);
    config->listens[config->listen_count++] = (struct config_listen){.address = memory_string(buffer_text(&address)),
                                                                     .role = role,
                                                                     .mode = 0666,
                                                                     .owner = memory_string(TEXT_NONE),
                                                                     .tls = tls,
                                                                     .auth = check_listen_auth_of(role)};
    buffer_free(&address);
}

/* A path, with or without "unix:", relative or not; becomes absolute. ("v6/port" has a slash too, and colons.) */
static void complete_listen_path(struct config_listen *listen) {
    struct text path = text_of(listen->address);
    bool is_unix = text_starts_nocase(path, TEXT("unix:"));

    if (is_unix)
        path = text_from(path, 5);
    if (is_unix || (text_find(path, '/') < path.length && text_find(path, ':') == path.length)) {
        char *whole = value_absolute_path(path);
        free(listen->address);
        listen->address = whole;
    }
}

/* "host:port". The last label of a name has a letter: what has only digits is a wrong address. */
static bool parse_listen_name(struct config_listen *listen) {
    struct text address = text_of(listen->address);
    const char *colon = strrchr(listen->address, ':');
    uint64_t port;

    if (colon == NULL || !text_number(text_of(colon + 1), 65535, &port) || port == 0)
        return false;
    struct text name = text_first(address, (size_t)(colon - listen->address)), last = name;
    for (size_t dot = text_find(last, '.'); dot < last.length; dot = text_find(last, '.'))
        last = text_from(last, dot + 1);
    listen->by_name =
        address_domain_is_valid(name, false) && last.length > 0 && strchr("0123456789", last.data[0]) == NULL;
    listen->parsed_count = 1;
    return listen->by_name && network_parse_ip(TEXT("0.0.0.0"), (unsigned)port, &listen->parsed[0]);
}

static bool parse_listen(struct config_listen *listen) {
    bool port_only;

    if (!network_parse_endpoint(text_of(listen->address), &listen->parsed[0], &port_only))
        return parse_listen_name(listen);
    listen->parsed_count = 1;
    if (port_only && network_parse_ip(TEXT("::"), network_port(&listen->parsed[0]), &listen->parsed[1]))
        listen->parsed_count = 2;
    return true;
}

static enum listen_role role_by_port(const struct config *config, const struct config_listen *listen) {
    long port = listen->parsed[0].storage.ss_family == AF_UNIX ? 0 : (long)network_port(&listen->parsed[0]);

    if (port != 0 && port == config->internal_submit_port)
        return ROLE_INTERNAL;
    if (port != 0 && (port == config->submission_port || port == config->submissions_port))
        return ROLE_SUBMISSION;
    return ROLE_MX;
}

/* Whoever may send the header may claim any address. */
static void check_proxy(struct reading *reading, const struct config_listen *listen, unsigned line, const char *label) {
    if (!listen->proxy && listen->proxy_networks.count > 0)
        reading_add_error(reading, line, label, "proxy = yes", "proxy_networks without proxy");
    else if (listen->proxy && listen->proxy_networks.count == 0)
        reading_add_error(reading, line, label, "proxy_networks = {NETWORK, ...}", "proxy without proxy_networks");
    else if (listen->proxy && listen->parsed[0].storage.ss_family == AF_UNIX)
        reading_add_error(reading, line, label, "a port", "a proxy does not come through a Unix socket");
}

static void complete_listen(struct reading *reading, size_t index) {
    struct config_listen *listen = &reading->config->listens[index];
    unsigned line = reading_line(reading, "listen", index, NULL);
    char label[LABEL_SIZE];

    reading_label(label, sizeof label, config_block_find("listen"), listen->address, NULL);
    complete_listen_path(listen);
    if (!parse_listen(listen)) {
        reading_add_error(reading, line, label, "port, v4:port, [v6]:port, v6/port, host:port, /path or unix:/path",
                          "is no address to listen on");
        return;
    }
    if (reading_line(reading, "listen", index, "role") == 0)
        listen->role = role_by_port(reading->config, listen);
    if (listen->role == ROLE_SENDMAIL && listen->parsed[0].storage.ss_family != AF_UNIX)
        reading_add_error(reading, line, label, "the path of a Unix socket", "the role sendmail trusts the user's id");
    if (listen->role == ROLE_LMTP && network_port(&listen->parsed[0]) == 25)
        reading_add_error(reading, line, label, "another port", "LMTP is never spoken on port 25 (RFC 2033 5)");
    if (!is_empty(listen->owner) && listen->parsed[0].storage.ss_family != AF_UNIX)
        reading_add_error(reading, line, label, "the path of a Unix socket", "a port has no owner");
    check_proxy(reading, listen, line, label);
    check_listen_modes(reading, index, label);
}

static bool listens_to_network(const struct config *config) {
    for (size_t i = 0; i < config->listen_count; i++)
        if (config->listens[i].parsed[0].storage.ss_family != AF_UNIX)
            return true;
    return false;
}

static void complete_listens(struct reading *reading) {
    struct config *config = reading->config;

    for (size_t i = 0; i < config->listen_count; i++)
        complete_listen(reading, i);
    if (!listens_to_network(config)) {
        size_t first = config->listen_count;
        add_default_listen(config, config->standard_mail_port, ROLE_MX, LISTEN_TLS_OPTIONAL);
        add_default_listen(config, config->internal_submit_port, ROLE_INTERNAL, LISTEN_TLS_OPTIONAL);
        add_default_listen(config, config->submission_port, ROLE_SUBMISSION, LISTEN_TLS_OPTIONAL);
        add_default_listen(config, config->submissions_port, ROLE_SUBMISSION, LISTEN_TLS_IMPLICIT);
        for (size_t i = first; i < config->listen_count; i++)
            (void)parse_listen(&config->listens[i]);
    }
}

/* ---- delivery ---- */

static const char *const built_in_transports[] = {"lmtp", "maildir", "null", "smtp"};

static bool is_built_in(const char *name) {
    for (size_t i = 0; i < sizeof built_in_transports / sizeof built_in_transports[0]; i++)
        if (strcmp(built_in_transports[i], name) == 0)
            return true;
    return false;
}

/* The queue's neighbour: /var/lib/parcelpost/queue gives /var/lib/parcelpost/mail/%d/%u/Maildir. */
static void complete_maildir(struct config *config) {
    const char *slash = strrchr(config->queue, '/');
    size_t parent = slash != NULL ? (size_t)(slash - config->queue) + 1 : 0;
    struct buffer path;

    buffer_init(&path, PATH_MAX + 64);
    (void)buffer_append(&path, config->queue, parent);
    (void)buffer_append_string(&path, "mail/%d/%u/Maildir");
    set_default(&config->maildir, buffer_string(&path));
    buffer_free(&path);
    set_default(&config->maildir_user, config->user_name);
    set_default(&config->local_transport, is_empty(config->lmtp) ? "maildir" : "lmtp");
}

static void check_transport(struct reading *reading, size_t index) {
    struct config_transport *transport = &reading->config->transports[index];
    unsigned line = reading_line(reading, "transport", index, NULL);
    bool to_server = strcmp(transport->kind, "lmtp") == 0 || strcmp(transport->kind, "smtp") == 0;
    char label[LABEL_SIZE];

    reading_label(label, sizeof label, config_block_find("transport"), transport->name, NULL);
    if (is_built_in(transport->name))
        reading_add_error(reading, line, label, "another name", "is built in");
    if (is_empty(transport->target) && strcmp(transport->kind, "null") != 0)
        reading_add_error(reading, line, label, "a target", "has no target");
    else if (to_server && !value_is_host(text_of(transport->target)))
        reading_add_error(reading, line, label, "host:port or /path", "\"%s\" is no server", transport->target);
}

static bool transport_exists(const struct config *config, const char *name) {
    return config_transport_find(config, text_of(name)) != NULL || (is_built_in(name) && strcmp(name, "smtp") != 0);
}

/* A block's label, in the form that addresses have (A-labels). One that is no domain stays, and is complained of. */
static void normalise_label(char **label) {
    char ascii[ADDRESS_DOMAIN_MAXIMUM + 2] = ".";
    bool below = (*label)[0] == '.';

    text_lower(*label);
    if (text_has_eight_bit(text_of(*label)) && address_domain_ascii(text_of(*label + below), ascii + 1)) {
        free(*label);
        *label = memory_string(text_of(below ? ascii : ascii + 1));
    }
}

/* Of two blocks for one domain the second would count for nothing: libconfuse compares titles as they were written. */
static bool has_route_before(const struct config *config, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(config->routes[i].domain, config->routes[index].domain) == 0)
            return true;
    return false;
}

static void check_route_transport(struct reading *reading, const struct config_route *route, unsigned line,
                                  const char *label) {
    const struct config *config = reading->config;

    if (is_empty(route->transport) || strcmp(route->transport, "smtp") == 0)
        return;
    if (!transport_exists(config, route->transport))
        reading_add_error(reading, line, label, "smtp, lmtp, maildir, null, or the name of a transport block",
                          "there is no transport \"%s\"", route->transport);
    else if (strcmp(route->transport, "lmtp") == 0 && is_empty(config->lmtp))
        reading_add_error(reading, line, label, "transport = lmtp together with the key lmtp = HOST:PORT or PATH",
                          "the key lmtp says nowhere to go");
}

static void check_routes(struct reading *reading) {
    struct config *config = reading->config;
    char label[LABEL_SIZE];

    for (size_t i = 0; i < config->route_count; i++) {
        struct config_route *route = &config->routes[i];
        unsigned line = reading_line(reading, "route", i, NULL);
        reading_label(label, sizeof label, config_block_find("route"), route->domain, NULL);
        normalise_label(&route->domain);
        const char *name = route->domain[0] == '.' ? route->domain + 1 : route->domain;
        if (strcmp(route->domain, "*") != 0 && !address_domain_is_valid(text_of(name), false))
            reading_add_error(reading, line, label, "a domain, .DOMAIN for those below it, or *", "is no domain");
        if (is_empty(route->host) && (route->lmtp || !is_empty(route->user)))
            reading_add_error(reading, line, label, "host = \"HOST:PORT\"", "has no host");
        if (has_route_before(config, i))
            reading_add_error(reading, line, label, "one block for a domain", "is there already");
        check_route_transport(reading, route, line, label);
        check_route(reading, i, label);
    }
}

static void check_delivery(struct reading *reading) {
    struct config *config = reading->config;

    for (size_t i = 0; i < config->transport_count; i++)
        check_transport(reading, i);
    if (!transport_exists(config, config->local_transport))
        reading_complain(reading, "local_transport", "lmtp, maildir, null, or the name of a transport block",
                         "there is no such transport");
    else if (strcmp(config->local_transport, "lmtp") == 0 && is_empty(config->lmtp))
        reading_complain(reading, "local_transport", "lmtp together with the key lmtp = HOST:PORT or PATH",
                         "the key lmtp says nowhere to go");
    check_routes(reading);
}

/* ---- keys, lists, spool ---- */

static void check_dkim(struct reading *reading) {
    struct config *config = reading->config;
    char label[LABEL_SIZE];

    for (size_t i = 0; i < config->dkim_count; i++) {
        struct config_dkim *dkim = &config->dkims[i];
        unsigned line = reading_line(reading, "dkim", i, NULL);
        reading_label(label, sizeof label, config_block_find("dkim"), dkim->domain, NULL);
        normalise_label(&dkim->domain);
        if (!address_domain_is_valid(text_of(dkim->domain), false))
            reading_add_error(reading, line, label, "a domain", "is no domain");
        if (is_empty(dkim->selector) || is_empty(dkim->private_key_file))
            reading_add_error(reading, line, label, "selector and private_key_file", "lacks one of its keys");
    }
}

/* ---- strangers ---- */

static void check_dnsbl(struct reading *reading, size_t index) {
    struct config_dnsbl *list = &reading->config->dnsbls[index];
    unsigned line = reading_line(reading, "dnsbl", index, NULL);
    char label[LABEL_SIZE];

    reading_label(label, sizeof label, config_block_find("dnsbl"), list->name, NULL);
    set_default(&list->zone, list->name);
    reading->config->dnsbl_domain_count += list->subject != DNSBL_CLIENT;
    if (!address_domain_is_valid(text_of(list->zone), false))
        reading_add_error(reading, line, label, "a domain", "is no domain");
    for (size_t i = 0; i < list->answers.count; i++)
        if (!network_pattern_is_valid(text_of(list->answers.items[i])))
            reading_add_error(reading, line, label, "addresses such as 127.0.0.2 or 127.0.0.[2..4;9]",
                              "\"%s\" is no address that a list answers", list->answers.items[i]);
    if (list->allow && list->subject != DNSBL_CLIENT)
        reading_add_error(reading, line, label, "subject = client", "only clients are allowed by a list");
}

static void check_strangers(struct reading *reading) {
    struct config *config = reading->config;

    for (size_t i = 0; i < config->dnsbl_count; i++)
        check_dnsbl(reading, i);
    if (config->reverse_required != REVERSE_NOT_REQUIRED && !config->reverse_lookup)
        reading_complain(reading, "reverse_required", "reverse_required together with reverse_lookup = yes",
                         "names are not looked up");
    if (config->greylist_window <= config->greylist_delay || config->greylist_lifetime <= config->greylist_delay)
        reading_complain(reading, "greylist_delay", "less than greylist_window and greylist_lifetime", "is too long");
}

static void check_files(struct reading *reading) {
    struct config *config = reading->config;

    if (config->certificate.count != config->private_key.count)
        reading_complain(reading, config->certificate.count == 0 ? "private_key" : "certificate",
                         "as many of certificate as of private_key", "one is useless without the other");
    check_certificates(reading);
    if (is_empty(config->database) || is_empty(config->users_database) || is_empty(config->queue))
        reading_complain(reading, is_empty(config->queue) ? "queue" : "database", "a path", "is empty");
    if (is_empty(config->control_directory) || is_empty(config->lock_file_path))
        reading_complain(reading, is_empty(config->lock_file_path) ? "lock_file_path" : "control_directory", "a path",
                         "is empty");
    if (config->journal_max_message > config->journal_segment_size / 2)
        reading_complain(reading, "journal_max_message", "at most half of journal_segment_size", "is too large");
    if (config->queue_maximum_size != 0 && config->queue_maximum_size < 2 * config->journal_segment_size)
        reading_complain(reading, "queue_maximum_size", "0, or at least two times journal_segment_size",
                         "is too small");
    if (config->rules_timeout_ms > 1000 * config->lookup_timeout)
        reading_complain(reading, "rules_timeout_ms", "at most lookup_timeout",
                         "its lookup process would be ended first");
    if (config->retry_schedule.count == 0)
        reading_complain(reading, "retry_schedule", "positive numbers of seconds, or with a unit: {5m, 1h, 1d}",
                         "is empty");
}

void config_complete(struct reading *reading) {
    complete_names(reading->config);
    complete_listens(reading);
    complete_maildir(reading->config);
    complete_secret(reading->config);
    complete_alias_directories(reading->config);
    complete_schedule(&reading->config->retry_schedule, &reading->config->retry_seconds, &reading->config->retry_count);
    check_names(reading);
    check_delivery(reading);
    check_extensions(reading);
    check_logins(reading);
    check_dkim(reading);
    check_strangers(reading);
    check_files(reading);
    check_outside(reading);
    check_commands(reading);
}

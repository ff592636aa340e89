
/*
 * Derived keys in shared memory, as limit_req keeps its counters: an rbtree
 * with a queue by last use.  The zone outlives reloads, in which this code
 * may move: no pointer into a process may stay in it.  Another build of the
 * module has another tag, for which nginx makes another zone: what is in one
 * is always of this layout.
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_KEY_TTL     60   /* seconds; s3d refuses old keys anyway */
#define NGX_HTTP_S3_NO_KEY_TTL  2
#define NGX_HTTP_S3_ID_MAX      512


typedef struct {
    ngx_rbtree_node_t           node;      /* key: CRC32 of id */
    ngx_queue_t                 queue;
    time_t                      expires;
    time_t                      renewed;   /* s3d was asked again */
    ngx_http_s3_key_t           key;
    size_t                      len;
    u_char                      id[1];     /* access key, date, region,
                                              service */
} ngx_http_s3_zone_node_t;


typedef struct {
    ngx_rbtree_t                rbtree;
    ngx_rbtree_node_t           sentinel;
    ngx_queue_t                 queue;
} ngx_http_s3_zone_sh_t;


static void ngx_http_s3_zone_insert_value(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_int_t ngx_http_s3_zone_id(s3_sigv4_t *auth, ngx_str_t *id);
static ngx_http_s3_zone_node_t *ngx_http_s3_zone_lookup(
    ngx_http_s3_zone_sh_t *sh, uint32_t hash, ngx_str_t *id);
static ngx_http_s3_zone_node_t *ngx_http_s3_zone_alloc(
    ngx_slab_pool_t *shpool, ngx_http_s3_zone_sh_t *sh, size_t size);
static void ngx_http_s3_zone_delete(ngx_slab_pool_t *shpool,
    ngx_http_s3_zone_sh_t *sh, ngx_http_s3_zone_node_t *node);


ngx_int_t
ngx_http_s3_zone_init(ngx_shm_zone_t *zone, void *data)
{
    size_t                  len;
    ngx_slab_pool_t        *shpool;
    ngx_http_s3_zone_sh_t  *sh;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        zone->data = shpool->data;
        return NGX_OK;
    }

    sh = ngx_slab_alloc(shpool, sizeof(ngx_http_s3_zone_sh_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    shpool->data = sh;
    zone->data = sh;

    ngx_rbtree_init(&sh->rbtree, &sh->sentinel,
                    ngx_http_s3_zone_insert_value);

    ngx_queue_init(&sh->queue);

    len = sizeof(" in s3_zone \"\"") + zone->shm.name.len;

    shpool->log_ctx = ngx_slab_alloc(shpool, len);
    if (shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(shpool->log_ctx, " in s3_zone \"%V\"%Z", &zone->shm.name);

    shpool->log_nomem = 0;

    return NGX_OK;
}


/* NGX_OK: *key is a copy, of a key or of the fact that there is none. */

ngx_int_t
ngx_http_s3_zone_get(ngx_shm_zone_t *zone, s3_sigv4_t *auth,
    ngx_http_s3_key_t *key)
{
    u_char                    buf[NGX_HTTP_S3_ID_MAX];
    uint32_t                  hash;
    ngx_int_t                 rc;
    ngx_str_t                 id;
    ngx_slab_pool_t          *shpool;
    ngx_http_s3_zone_sh_t    *sh;
    ngx_http_s3_zone_node_t  *node;

    id.data = buf;

    if (ngx_http_s3_zone_id(auth, &id) != NGX_OK) {
        return NGX_DECLINED;
    }

    hash = ngx_crc32_short(id.data, id.len);

    sh = zone->data;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    rc = NGX_DECLINED;

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_http_s3_zone_lookup(sh, hash, &id);

    if (node) {
        if (node->expires > ngx_time()) {
            ngx_queue_remove(&node->queue);
            ngx_queue_insert_head(&sh->queue, &node->queue);

            *key = node->key;
            rc = NGX_OK;

        } else {
            ngx_http_s3_zone_delete(shpool, sh, node);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


void
ngx_http_s3_zone_set(ngx_shm_zone_t *zone, s3_sigv4_t *auth,
    ngx_http_s3_key_t *key)
{
    u_char                    buf[NGX_HTTP_S3_ID_MAX];
    uint32_t                  hash;
    ngx_str_t                 id;
    ngx_slab_pool_t          *shpool;
    ngx_http_s3_zone_sh_t    *sh;
    ngx_http_s3_zone_node_t  *node;

    id.data = buf;

    if (ngx_http_s3_zone_id(auth, &id) != NGX_OK) {
        return;
    }

    hash = ngx_crc32_short(id.data, id.len);

    sh = zone->data;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_http_s3_zone_lookup(sh, hash, &id);

    if (node == NULL) {
        node = ngx_http_s3_zone_alloc(shpool, sh,
                           offsetof(ngx_http_s3_zone_node_t, id) + id.len);

        if (node == NULL) {
            /* the next request asks s3d again */
            ngx_shmtx_unlock(&shpool->mutex);
            return;
        }

        node->node.key = hash;
        node->renewed = 0;
        node->len = id.len;
        ngx_memcpy(node->id, id.data, id.len);

        /* the process that set it may have had this code elsewhere */
        sh->rbtree.insert = ngx_http_s3_zone_insert_value;

        ngx_rbtree_insert(&sh->rbtree, &node->node);

    } else {
        ngx_queue_remove(&node->queue);
    }

    ngx_queue_insert_head(&sh->queue, &node->queue);

    node->key = *key;
    node->expires = ngx_time() + (key->found ? NGX_HTTP_S3_KEY_TTL
                                             : NGX_HTTP_S3_NO_KEY_TTL);

    ngx_shmtx_unlock(&shpool->mutex);
}


/*
 * NGX_OK: s3d may be asked for the key again, once a second, so that wrong
 * signatures do not become questions to s3d.
 */

ngx_int_t
ngx_http_s3_zone_renew(ngx_shm_zone_t *zone, s3_sigv4_t *auth)
{
    u_char                    buf[NGX_HTTP_S3_ID_MAX];
    uint32_t                  hash;
    ngx_int_t                 rc;
    ngx_str_t                 id;
    ngx_slab_pool_t          *shpool;
    ngx_http_s3_zone_sh_t    *sh;
    ngx_http_s3_zone_node_t  *node;

    id.data = buf;

    if (ngx_http_s3_zone_id(auth, &id) != NGX_OK) {
        return NGX_DECLINED;
    }

    hash = ngx_crc32_short(id.data, id.len);

    sh = zone->data;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    rc = NGX_OK;

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_http_s3_zone_lookup(sh, hash, &id);

    if (node) {
        if (node->renewed == ngx_time()) {
            rc = NGX_DECLINED;
        }

        node->renewed = ngx_time();
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


static ngx_int_t
ngx_http_s3_zone_id(s3_sigv4_t *auth, ngx_str_t *id)
{
    u_char  *p;

    if (auth->access_key.len + auth->date.len + auth->region.len
        + auth->service.len + 3
        > NGX_HTTP_S3_ID_MAX)
    {
        return NGX_DECLINED;
    }

    p = ngx_cpymem(id->data, auth->access_key.data, auth->access_key.len);
    *p++ = '/';
    p = ngx_cpymem(p, auth->date.data, auth->date.len);
    *p++ = '/';
    p = ngx_cpymem(p, auth->region.data, auth->region.len);
    *p++ = '/';
    p = ngx_cpymem(p, auth->service.data, auth->service.len);

    id->len = p - id->data;

    return NGX_OK;
}


static ngx_http_s3_zone_node_t *
ngx_http_s3_zone_lookup(ngx_http_s3_zone_sh_t *sh, uint32_t hash,
    ngx_str_t *id)
{
    ngx_int_t                 rc;
    ngx_rbtree_node_t        *node, *sentinel;
    ngx_http_s3_zone_node_t  *zn;

    node = sh->rbtree.root;
    sentinel = sh->rbtree.sentinel;

    while (node != sentinel) {

        if (hash < node->key) {
            node = node->left;
            continue;
        }

        if (hash > node->key) {
            node = node->right;
            continue;
        }

        /* hash == node->key */

        zn = (ngx_http_s3_zone_node_t *) node;

        rc = ngx_memn2cmp(id->data, zn->id, id->len, zn->len);

        if (rc == 0) {
            return zn;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


static void
ngx_http_s3_zone_insert_value(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t        **p;
    ngx_http_s3_zone_node_t   *zn, *znt;

    for ( ;; ) {

        if (node->key < temp->key) {

            p = &temp->left;

        } else if (node->key > temp->key) {

            p = &temp->right;

        } else { /* node->key == temp->key */

            zn = (ngx_http_s3_zone_node_t *) node;
            znt = (ngx_http_s3_zone_node_t *) temp;

            p = (ngx_memn2cmp(zn->id, znt->id, zn->len, znt->len) < 0)
                ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


static ngx_http_s3_zone_node_t *
ngx_http_s3_zone_alloc(ngx_slab_pool_t *shpool, ngx_http_s3_zone_sh_t *sh,
    size_t size)
{
    ngx_uint_t                n;
    ngx_queue_t              *q;
    ngx_http_s3_zone_node_t  *node;

    /* nodes differ in size: one that goes may not make room for another */

    for (n = 0; n < 8; n++) {

        node = ngx_slab_alloc_locked(shpool, size);
        if (node) {
            return node;
        }

        if (ngx_queue_empty(&sh->queue)) {
            break;
        }

        q = ngx_queue_last(&sh->queue);

        ngx_http_s3_zone_delete(shpool, sh,
                      ngx_queue_data(q, ngx_http_s3_zone_node_t, queue));
    }

    return NULL;
}


static void
ngx_http_s3_zone_delete(ngx_slab_pool_t *shpool, ngx_http_s3_zone_sh_t *sh,
    ngx_http_s3_zone_node_t *node)
{
    ngx_queue_remove(&node->queue);
    ngx_rbtree_delete(&sh->rbtree, &node->node);

    ngx_explicit_memzero(&node->key, sizeof(ngx_http_s3_key_t));

    ngx_slab_free_locked(shpool, node);
}

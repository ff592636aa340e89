#!/usr/bin/perl

# s3ctl purge, end to end: an edge with proxy_cache in front of s3_static never
# answers with what was overwritten or deleted once the purge is confirmed;
# edges, agents and Redis that go away and come back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Test::Redis;
use Test::S3;

my $module = '/usr/lib/nginx/modules/ngx_http_cache_purge_module.so';
plan(skip_all => 'redis-server is not installed')
    unless grep { -x "$_/redis-server" } split /:/, $ENV{PATH};
plan(skip_all => 'libnginx-mod-http-cache-purge is not installed')
    unless -e $module;

my %port = map { $_ => Test::S3::free_port() } qw(origin edge tags);
my $slow = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')
    or die "slow: $!";
my $t = Test::S3->new();
my $dir = $t->dir();
my $build = Test::S3::build();

# --- what runs ----------------------------------------------------------------
$t->{s3d} = <<"EOF";
events = { targets = (
    { name = "cdn"; kind = "stream"; redis = "unix:$dir/redis.sock";
      key = "purge"; username = "s3d"; password_file = "$dir/password"; }
); };
EOF
$t->{http} = <<"EOF";
    absolute_redirect off;
    server {
        listen 127.0.0.1:$port{origin};
        s3_static s3d site;
        s3_index index.html;
        s3_precompressed br;
    }
    log_format tags '\$request_method \$request_uri \$http_x_tag \$http_x_secret';
    server {
        listen 127.0.0.1:$port{tags};
        access_log $dir/tags.log tags;
        if (-e $dir/refuse) { return 503; }
        return 204;
    }
EOF
$t->write_file('edge.conf', <<"EOF");
load_module $module;
daemon off;
user root;
pid $dir/edge.pid;
error_log $dir/edge.log info;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $dir/edge_body;
    proxy_temp_path $dir/edge_proxy;
    fastcgi_temp_path $dir/edge_fastcgi;
    uwsgi_temp_path $dir/edge_uwsgi;
    scgi_temp_path $dir/edge_scgi;
    proxy_cache_path $dir/cache keys_zone=edge:1m inactive=1d;
    map \$http_accept_encoding \$form { default identity; ~\\bbr\\b br; }
    server {
        listen 127.0.0.1:$port{edge};
        location / {
            proxy_pass http://127.0.0.1:$port{origin};
            proxy_cache edge;
            proxy_set_header Accept-Encoding \$form;
            proxy_ignore_headers Vary;
            proxy_cache_key \$form\$uri;
            proxy_cache_valid 200 301 404 1d;
            add_header X-Cache \$upstream_cache_status always;
        }
        location ~ ^/purge/(?<purged>(identity|br)/.*)\$ {
            allow 127.0.0.1;
            deny all;
            proxy_cache_purge edge \$purged;
        }
    }
}
EOF
my $conf = $t->write_file('purge.conf', <<"EOF");
redis = {
    address = "unix:$dir/redis.sock"; username = "agent";
    password_file = "$dir/agent-password";
};
retry_max = "1s";
window = 3;
edges = (
    { name = "edge"; url = "http://www.example.org:$port{edge}";
      connect = "127.0.0.1:$port{edge}"; },
    { name = "tags"; url = "http://127.0.0.1:$port{tags}/";
      headers = ( "X-Secret: \${secret}" ); secret_file = "$dir/secret"; },
    { name = "slow"; url = "http://127.0.0.1:@{[ $slow->sockport() ]}";
      timeout = "60s"; }
);
templates = (
    { name = "path"; url = "\${edge}/purge/identity\${path}"; },
    { name = "br"; url = "\${edge}/purge/br\${path}"; },
    { name = "tag"; method = "BAN"; url = "\${edge}/\${bucket}/\${tag}";
      headers = ( "X-Tag: \${tag}" ); },
    { name = "plain"; url = "\${edge}\${path}"; },
    { name = "folder"; method = "BAN"; url = "\${edge}/\${directory}*"; }
);
rules = (
    { bucket = "site"; index = ( "index.html" ); suffixes = ( ".br" );
      edges = ( "edge" ); templates = ( "path", "br" ); },
    { bucket = "site"; prefix = "tagged/"; edges = ( "tags" );
      templates = ( "tag", "folder" ); },
    { bucket = "site"; prefix = "slow/"; edges = ( "slow" );
      templates = ( "plain" ); }
);
EOF
my %secret = (password => 'of-s3d', 'agent-password' => 'of-the-agent',
    secret => 'of-the-edge');
chmod 0600, $t->write_file($_, "$secret{$_}\n") for keys %secret;

# With no more rights than docs/events.md and docs/purge.md give them.
my $redis = Test::Redis->new($t, 'redis', conf => [
    'user s3d on >of-s3d ~purge +ping +multi +exec +xadd +xinfo|stream +xrange',
    'user agent on >of-the-agent ~purge ~purge:* +ping +xgroup|create'
        . ' +xreadgroup +xack +hset +xinfo|groups +xpending +xrange +hgetall' ]);

sub start_edge {
    $t->spawn('edge', '/usr/sbin/nginx', '-p', $dir, '-c', "$dir/edge.conf",
        '-e', "$dir/edge.log");
    $t->wait_for('edge', sub {
        IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port{edge}")
    });
}

sub start_agent {
    $t->spawn('agent', "$build/s3ctl", 'purge', '-c', $conf);
}

# --- what is asked --------------------------------------------------------------
sub from_edge {
    my ($path, $form) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port{edge}")
        or die "edge: $!";
    return $t->get($path, socket => $s, sign => 0, host => 'www.example.org',
        headers => [ [ Connection => 'close' ],
            $form ? [ 'Accept-Encoding' => $form ] : () ]);
}

sub answer {
    my $r = from_edge(@_);
    my $body = $r->{status} == 200 ? $r->{body} : '';
    return "$r->{status} $r->{headers}{'x-cache'} $body";
}

sub status {
    my $json = `$build/s3ctl purge --status --json -c $conf 2>$dir/status.err`;
    return {} if $?;
    return { map { $_->{edge} => $_ } @{ decode_json($json)->{edges} } };
}

# Redis has every event, and each edge has confirmed them.
sub settle {
    my (@edges) = @_;
    $t->wait_for('events', sub {
        !grep { $_->{backlog} } @{ $t->ctl(qw(events status))->{events} };
    });
    my $status;
    $t->wait_for('purges', sub {
        $status = status();
        return !grep { !defined $_ || ($_->{waiting} // 1) || $_->{pending} }
            @$status{@edges ? @edges : qw(edge tags slow)};
    });
    return $status;
}

# --- start ----------------------------------------------------------------------
$redis->start();
$t->run();
start_edge();
my ($account) = map { $_->{number} }
    @{ $t->ctl(qw(account list))->{accounts} };
is($t->put('/site')->{status}, 200, 'a bucket');
my $r = $t->put('/site?notification', body => '<NotificationConfiguration>'
    . '<QueueConfiguration><Id>cdn</Id>'
    . "<Queue>arn:aws:sqs:us-east-1:$account:cdn</Queue>"
    . '<Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event>'
    . '</QueueConfiguration></NotificationConfiguration>');
is($r->{status}, 200, 'its events') or diag $r->{body};
my @keys = ('page.css', 'a/index.html', 'a%20b%2Bc%25/%C3%A9', 'gone');
is($t->put("/site/$_", body => "old $_")->{status}, 200, $_) for @keys;
start_agent();
settle();

# --- overwritten and deleted
my %url = map { $_ => "/$_" } @keys;
$url{'a/index.html'} = '/a/';
for my $key (@keys) {
    is(answer($url{$key}), "200 MISS old $key", "$key is fetched");
    is(answer($url{$key}), "200 HIT old $key", "$key is cached");
}
is(answer('/a'), '301 MISS ', 'a redirect');
is(answer('/a'), '301 HIT ', 'is cached too');
is(answer('/later'), '404 MISS ', 'nothing there');
is(answer('/later'), '404 HIT ', 'which is cached');
is($t->put("/site/$_", body => "new $_")->{status}, 200, "$_ again")
    for grep { $_ ne 'gone' } @keys, 'later';
is($t->delete('/site/gone')->{status}, 204, 'gone');
settle();
is(answer($url{$_}), "200 MISS new $_", "$_ is fetched again")
    for grep { $_ ne 'gone' } @keys;
is(answer('/gone'), '404 MISS ', 'gone is gone');
is(answer('/a'), '301 MISS ', 'the redirect is asked for again');
is(answer('/later'), '200 MISS new later', 'what was not there is');
is(answer('/page.css', 'br'), '200 MISS new page.css', 'there is no form');
is(answer('/page.css', 'br'), '200 HIT new page.css', 'which is cached');
is($t->put('/site/page.css.br', body => 'packed')->{status}, 200, 'a form');
settle();
is(answer('/page.css', 'br'), '200 MISS packed', 'there is');
is(answer('/page.css'), '200 MISS new page.css', 'and the plain one');
my $status;
$t->wait_for('the report', sub { # which comes a little later
    $status = status();
    return $status->{edge}{confirmed} == 11;
});
like($status->{edge}{last_confirmed}, qr/^20\d\d-.*Z$/, 'and when');
is($status->{edge}{state}, 'ready', 'ready');
is($status->{edge}{lag_ms}, 0, 'no lag');

# --- tags: those of what was there, and of what is there now
sub tagged {
    my ($tags) = @_;
    return $t->put('/site/tagged/x', body => 'x', headers =>
        [ map { [ "x-amz-meta-$_" => $tags->{$_} ] } sort keys %$tags ]);
}
is(tagged({ 'cache-tag' => 'news,a/b' })->{status}, 200, 'with tags');
is(tagged({ 'surrogate-key' => 'sport other' })->{status}, 200, 'others');
is($t->delete('/site/tagged/x')->{status}, 204, 'deleted');
settle();
$t->wait_for('the log', sub { $t->read_file('tags.log') =~ /(\n.*){4}/ });
my %seen;
$seen{$_}++ for split /\n/, $t->read_file('tags.log');
is(join("\n", sort keys %seen), join("\n",
    'BAN /site/a%2Fb a/b of-the-edge', 'BAN /site/news news of-the-edge',
    'BAN /site/other other of-the-edge', 'BAN /site/sport sport of-the-edge',
    'BAN /tagged/* - of-the-edge'), 'by tag and by prefix');

# --- an edge refuses
$t->write_file('refuse', '');
is(tagged({ 'cache-tag' => 'refused' })->{status}, 200, 'with a tag');
$t->wait_for('a retry', sub { (status()->{tags}{retried} // 0) > 2 });
is(status()->{tags}{pending}, 1, 'is not confirmed');
is(status()->{tags}{error}, 'status 503', 'why');
$t->wait_for('the other edge', sub { status()->{edge}{pending} == 0 });
unlink "$dir/refuse";
settle();

# --- an edge is away; the other one goes on
is(answer('/page.css'), '200 HIT new page.css', 'cached');
$t->stop('edge');
is($t->put('/site/page.css', body => 'newer')->{status}, 200, 'overwritten');
is(tagged({ 'cache-tag' => 'meanwhile' })->{status}, 200, 'another');
settle('tags');
like($t->read_file('tags.log'), qr{^BAN /site/meanwhile}m, 'the other edge');
$t->wait_for('a retry', sub {
    my $edge = status()->{edge};
    return ($edge->{retried} // 0) > 1 && $edge->{pending} == 2;
});
$status = status()->{edge};
is($status->{pending}, 2, 'not confirmed');
cmp_ok($status->{failed}, '>=', 1, 'failed');
is($status->{state}, 'retrying', 'retrying');
cmp_ok($status->{lag_ms}, '>', 0, 'lag');
like($status->{error}, qr/connect/i, 'why');
my $failed = "PURGE http://www.example.org:$port{edge}/purge/identity/page.css failed: ";
like($t->read_file('agent.out'),
    qr/"purge: edge edge: \Q$failed\E.*; attempt 1, again in /, 'in the log');
like(scalar `$build/s3ctl purge --status -c $conf`,
    qr/^edge +retrying +[\d.]+ +0 +2 .*\n +last error: /m, 'for people');
start_edge();
settle();
is(answer('/page.css'), '200 MISS newer', 'the purge came after all');

# --- the agent is killed between reading and confirming
is(answer('/a/'), '200 HIT new a/index.html', 'cached');
$t->stop('edge');
is($t->delete('/site/a/index.html')->{status}, 204, 'deleted');
$t->wait_for('it is read', sub { (status()->{edge}{pending} // 0) == 1 });
$t->stop('agent', 'KILL');
is(status()->{edge}{pending}, 1, 'still pending');
my $report = 'purge:edge';
$redis->ask('HSET', $report, 'written_ms', (time() + 86400) . '000');
is(status()->{edge}{state}, 'silent', 'of a clock that was ahead');
$redis->ask('HSET', $report, 'written_ms', time() . '000');
$redis->ask('HSET', $report, 'state', "\xff", 'error', "\e[31mred");
is(status()->{edge}{state}, 'not UTF-8', 'what no agent has written');
unlike(scalar `$build/s3ctl purge --status -c $conf`, qr/\e/,
    'is not for the terminal');
$redis->ask('HDEL', $report, 'state');
is(status()->{edge}{state}, 'unknown', 'nor is it there');
start_edge();
is(answer('/a/'), '200 HIT new a/index.html', 'stale, without an agent');
start_agent();
$status = settle();
is(answer('/a/'), '404 MISS ', 'claimed again, and purged');
like($status->{edge}{last_confirmed}, qr/Z$/, 'known over a restart');

# --- Redis dies, and comes back empty
is(answer('/page.css'), '200 HIT newer', 'cached');
$redis->stop();
$t->wait_for('the agent notices', sub {
    $t->read_file('agent.out') =~ /edge edge: Redis: /
});
status();
is($? >> 8, 3, 'status without Redis');
like($t->read_file('status.err'), qr/^s3ctl: Redis: .*\n\z/, 'why');
is($t->put('/site/page.css', body => 'newest')->{status}, 200, 'overwritten');
$redis->start();
settle();
is(answer('/page.css'), '200 MISS newest', 'purged');

# --- the end: what is on its way is waited for
is($t->put('/site/slow/x', body => 'x')->{status}, 200, 'for the slow edge');
my $purge = $slow->accept();
like(scalar <$purge>, qr{^PURGE /slow/x HTTP/1\.1\r$}, 'is on its way');
kill 'TERM', $t->{pids}{agent};
$t->wait_for('the others have', sub { status()->{edge}{state} eq 'stopped' });
ok($t->alive('agent'), 'the agent waits');
is(status()->{slow}{pending}, 1, 'not confirmed');
print $purge "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
$purge->flush();
is($t->stop('agent'), 0, 'the agent stops cleanly');
is(status()->{slow}{state}, 'stopped', 'which is known');
is(status()->{slow}{pending}, 0, 'confirmed at the end');
my $log = $t->read_file('agent.out') . $t->read_file('s3d.log');
unlike($log, qr/\Q$_\E/, 'a secret that is not logged')
    for values %secret;
unlike($log, qr/Sanitizer|runtime error|invariant failed/, 'no defect');
my $bad = $t->write_file('bad.conf', "redis = { adress = \"x\"; };\n");
is(scalar `$build/s3ctl purge --test -c $bad 2>&1`,
    "s3ctl: $bad:1: unknown setting redis.adress\n", 'a mistake');
is($? >> 8, 2, 'is told');

$t->stop('edge');
$redis->stop();
$t->done();

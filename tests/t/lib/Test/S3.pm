package Test::S3;

# A small harness for the end-to-end tests: a real nginx with the module, a
# real s3d with several drives, all below one temporary directory, on free
# ports of 127.0.0.1.  Requests are written to the socket byte by byte as
# given here, signed with our own SigV4, so that a test controls every header.
#
#   my $t = Test::S3->new()->run();
#   my $r = $t->put('/bucket/key', body => 'x');
#   is($r->{status}, 200, 'stored');
#   $t->done();          # stops, and checks the logs

use strict;
use warnings;

use Cwd qw(abs_path);
use Digest::MD5 qw(md5_base64);
use Digest::SHA qw(sha256_hex hmac_sha256 hmac_sha256_hex);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX qw(strftime WNOHANG WUNTRACED);
use Socket qw(SOCK_STREAM SOL_SOCKET SO_REUSEADDR);
use Test::More;
use Time::HiRes qw(sleep time);

my $top = abs_path(dirname(__FILE__) . '/../../../..');
my $build = "$top/" . ($ENV{S3D_BUILD} || 'build/release');

our $REGION = 'us-east-1';
our $EMPTY_SHA256 = sha256_hex('');

sub new {
    my ($class, %options) = @_;

    my $self = bless {
        dir => tempdir('s3d-test-XXXXXX', TMPDIR => 1),
        drives => $options{drives} || 6,
        workers => $options{workers} || 2,
        removed => {},                          # numbers of drives
        location => $options{location} || '',   # more lines of location /
        server => $options{server} || '',       # more lines of the server
        http => $options{http} || '',
        main => $options{main} || '',           # and outside of http
        listen => $options{listen} || '',       # "ssl http2": parameters
        s3d => $options{s3d} || '',             # more lines of s3d.conf
        daemon => $options{daemon} || 'off',    # 'on' for binary upgrade
        preload => $options{preload} || '',     # lib/<name>.c, into s3d
        pids => {},
        owner => $$,
    }, $class;
    $self->{port} = free_port();
    return $self;
}

sub dir  { return $_[0]{dir} }
sub port { return $_[0]{port} }
sub host { return '127.0.0.1:' . $_[0]{port} }
sub build { return $build } # where s3d and s3ctl are

# Ours until the test ends: a socket that is bound and does not listen keeps the
# port from every other test, not from a server that sets SO_REUSEADDR.
my @held;

sub free_port {
    my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp')
        or die "no free port: $!";
    setsockopt $s, SOL_SOCKET, SO_REUSEADDR, 1 or die "SO_REUSEADDR: $!";
    push @held, $s;
    return $s->sockport();
}

# --- configuration ----------------------------------------------------------

sub write_file {
    my ($self, $name, $text) = @_;
    my $path = "$self->{dir}/$name";
    open my $f, '>', $path or die "$path: $!";
    print $f $text;
    close $f or die "$path: $!";
    return $path;
}

sub read_file {
    my ($self, $name) = @_;
    open my $f, '<', "$self->{dir}/$name" or return '';
    local $/;
    return <$f> // '';
}

sub s3d_conf {
    my ($self) = @_;
    my $dir = $self->{dir};
    my $drives = join ",\n", map {
        $self->{removed}{$_} ? '    { removed = true; }'
            : qq/    { path = "$dir\/drive$_"; }/
    } 0 .. $self->{drives} - 1;
    return <<"EOF_CONF";
socket = "$dir/s3d.sock";
admin_socket = "$dir/admin.sock";
state = "$dir";
master_key = "$dir/master.key";
region = "$REGION";
log = "$dir/s3d.log";
reserve = "64M";
drives = (
$drives
);
$self->{s3d}
EOF_CONF
}

sub nginx_conf {
    my ($self) = @_;
    my $dir = $self->{dir};
    my $load = -x "$build/nginx-bin" ? ''
        : "load_module $build/ngx_http_s3_module.so;";
    return <<"EOF_CONF";
$load
daemon $self->{daemon};
user root;
worker_processes $self->{workers};
pid $dir/nginx.pid;
error_log $dir/error.log info;
$self->{main}
events { worker_connections 512; }
http {
    access_log $dir/access.log;
    client_body_temp_path $dir/body_temp;
    proxy_temp_path $dir/proxy_temp;
    fastcgi_temp_path $dir/fastcgi_temp;
    uwsgi_temp_path $dir/uwsgi_temp;
    scgi_temp_path $dir/scgi_temp;
    sendfile on;
    s3_zone keys:1m;
    upstream s3d { server unix:$dir/s3d.sock; keepalive 16; }
    $self->{http}
    server {
        listen 127.0.0.1:$self->{port} $self->{listen};
        $self->{server}
        location / {
            s3_pass s3d;
            $self->{location}
        }
    }
}
EOF_CONF
}

# --- processes ----------------------------------------------------------------

sub spawn {
    my ($self, $name, @command) = @_;
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/$name.out";
        open STDERR, '>&', \*STDOUT;
        exec @command or POSIX::_exit(127);
    }
    return $self->{pids}{$name} = $pid;
}

# Waits for an event; the short pause is a poll, not a guess.
sub wait_for {
    my ($self, $what, $condition, $seconds) = @_;
    my $deadline = time() + ($seconds || 60);
    until ($condition->()) {
        if (time() > $deadline) {
            diag($self->read_file('s3d.out'), $self->read_file('nginx.out'),
                $self->read_file('error.log'));
            die "waited in vain: $what";
        }
        sleep 0.01;
    }
}

sub alive {
    my ($self, $name) = @_;
    my $pid = $self->{pids}{$name} or return 0;
    return waitpid($pid, WNOHANG) == 0;
}

# What the environment holds then.
sub preloaded {
    my ($self) = @_;
    my $library = "$self->{dir}/$self->{preload}.so";
    system('cc', qw(-O1 -shared -fPIC -o), $library,
        dirname(__FILE__) . "/../$self->{preload}.c", '-ldl') == 0
        or die "$library cannot be built";
    return ($library, "$self->{dir}/hang",
        join ':', grep { $_ } $ENV{ASAN_OPTIONS}, 'verify_asan_link_order=0');
}

sub start_s3d {
    my ($self) = @_;
    $self->write_file('s3d.conf', $self->s3d_conf());
    local @ENV{qw(LD_PRELOAD S3D_TEST_HANG ASAN_OPTIONS)} = $self->preloaded()
        if $self->{preload};
    $self->spawn('s3d', "$build/s3d", '-c', "$self->{dir}/s3d.conf");
    $self->wait_for('s3d', sub {
        $self->alive('s3d')
            or die "s3d ended: " . $self->read_file('s3d.out')
                . $self->read_file('s3d.log');
        return IO::Socket::UNIX->new(Peer => "$self->{dir}/s3d.sock");
    });
}

sub nginx_binary {
    return -x "$build/nginx-bin" ? "$build/nginx-bin" : '/usr/sbin/nginx';
}

sub start_nginx {
    my ($self) = @_;
    $self->write_file('nginx.conf', $self->nginx_conf());
    $self->spawn('nginx', nginx_binary(), '-p', $self->{dir},
        '-c', "$self->{dir}/nginx.conf", '-e', "$self->{dir}/error.log");
    $self->wait_for('nginx', sub {
        $self->alive('nginx')
            or die 'nginx ended: ' . $self->read_file('nginx.out');
        return IO::Socket::INET->new(PeerAddr => $self->host());
    });
}

# nginx as a daemon of its own, as binary upgrade needs it: returns its pid.
sub start_detached_nginx {
    my ($self) = @_;
    $self->write_file('nginx.conf', $self->nginx_conf());
    my $pid = $self->spawn('nginx', nginx_binary(), '-p', $self->{dir},
        '-c', "$self->{dir}/nginx.conf", '-e', "$self->{dir}/error.log");
    waitpid $pid, 0;
    die 'nginx: ' . $self->read_file('nginx.out') if $?;
    $self->wait_for('nginx.pid', sub { -s "$self->{dir}/nginx.pid" });
    my ($master) = $self->read_file('nginx.pid') =~ /(\d+)/;
    return $self->{pids}{nginx} = $master;
}

# A certificate of its own: the directives that name it.
sub self_signed {
    my ($self) = @_;
    my ($key, $cert) = map { "$self->{dir}/$_.pem" } qw(key cert);
    system('openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes '
        . "-days 2 -subj /CN=localhost -keyout $key -out $cert 2>/dev/null") == 0
        or die 'openssl';
    return "ssl_certificate $cert; ssl_certificate_key $key;";
}

# nginx -t on a configuration: (exit status, output).
sub test_config {
    my ($self, $text) = @_;
    my $path = $self->write_file('test.conf', $text);
    my $binary = nginx_binary();
    my $output = `$binary -t -p $self->{dir} -c $path -e $self->{dir}/t.log 2>&1`;
    return ($? >> 8, $output);
}

sub ctl {
    my ($self, @words) = @_;
    open my $p, '-|', "$build/s3ctl", '-s', "$self->{dir}/admin.sock",
        '--json', @words or die "s3ctl: $!";
    local $/;
    my $text = <$p>;
    close $p or return;
    return $text =~ /\S/ ? decode_json($text) : {};
}

sub run {
    my ($self) = @_;
    $self->start_s3d();
    my $user = $self->ctl('account', 'add', 'root', '--operator')
        or die 's3ctl account add failed';
    @$self{qw(access_key secret_key)} = @$user{qw(access_key secret_key)};
    $self->{daemon} eq 'on' ? $self->start_detached_nginx() : $self->start_nginx();
    return $self;
}

sub stop {
    my ($self, $name, $signal) = @_;
    my $pid = $self->{pids}{$name} or return;
    kill $signal || 'TERM', $pid;
    waitpid $pid, 0;
    delete $self->{pids}{$name};
    return $?;
}

# A process stands still until its next signal CONT.  On a busy machine some of
# its threads run on for a while after the signal.
sub pause {
    my ($self, $name) = @_;
    kill 'STOP', $self->{pids}{$name};
    waitpid $self->{pids}{$name}, WUNTRACED;
}

# The processes that serve.
sub workers {
    my ($self) = @_;
    my $pid = $self->{pids}{nginx};
    open my $f, '<', "/proc/$pid/task/$pid/children" or die "workers: $!";
    return split ' ', <$f> // '';
}

sub reload_nginx {
    my ($self) = @_;
    kill 'HUP', $self->{pids}{nginx};
}

# After a reload: a worker of before closes connections that it has accepted
# and not read.
sub wait_for_end_of {
    my ($self, @old) = @_;
    $self->wait_for('the old workers end', sub {
        my %now = map { $_ => 1 } $self->workers();
        return keys %now && !grep { $now{$_} } @old;
    });
}

# Ends the test: everything stops cleanly and no log shows a defect.
sub done {
    my ($self) = @_;
    is($self->stop('nginx'), 0, 'nginx stopped cleanly');
    is($self->stop('s3d'), 0, 's3d stopped cleanly');
    my @bad = map {
        my $name = $_;
        map { "$name: $_" } grep {
            /\[alert\]|\[emerg\]|Sanitizer|runtime error|invariant failed|exited on signal/
        } split /\n/, $self->read_file($name)
    } qw(error.log s3d.log s3d.out nginx.out);
    is(join("\n", @bad), '', 'no alerts, no sanitizer reports');
    done_testing();
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local $?;
    kill 'KILL', $_ for values %{ $self->{pids} };
    waitpid $_, 0 for values %{ $self->{pids} };
    remove_tree($self->{dir}) unless $ENV{S3D_KEEP};
}

# --- SigV4 ------------------------------------------------------------------

sub uri_escape {
    my ($text, $keep) = @_;
    $keep //= '';
    $text =~ s/([^A-Za-z0-9\-._~$keep])/sprintf '%%%02X', ord $1/ge;
    return $text;
}

sub uri_unescape {
    my ($text) = @_;
    $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    return $text;
}

sub canonical_query {
    my ($query) = @_;
    return join '&', map { "$_->[0]=$_->[1]" }
        sort { $a->[0] cmp $b->[0] || $a->[1] cmp $b->[1] }
        map {
            my ($name, $value) = split /=/, $_, 2;
            [ map { uri_escape(uri_unescape($_)) } $name, $value // '' ]
        } split /&/, $query;
}

sub signing_key {
    my ($secret, $date, $region, $service) = @_;
    my $key = "AWS4$secret";
    $key = hmac_sha256($_, $key) for $date, $region, $service // 's3',
        'aws4_request';
    return $key;
}

# The parts of a signature: (string to sign, key, scope, signed headers).
sub string_to_sign {
    my ($self, $method, $target, $headers, %o) = @_;
    my ($path, $query) = split /\?/, $target, 2;
    my $when = $o{amz_date};
    my $region = $o{region} // $REGION;
    my $service = $o{service} // 's3';
    my $scope = substr($when, 0, 8) . "/$region/$service/aws4_request";

    my %signed;
    for my $h (@$headers) {
        my ($name, $value) = (lc $h->[0], $h->[1]);
        next if grep { $_ eq $name } @{ $o{unsigned} || [] };
        next if $name eq 'authorization';
        $value =~ s/^\s+|\s+$//g;
        $value =~ s/\s+/ /g;
        push @{ $signed{$name} }, $value;
    }
    my $names = join ';', sort keys %signed;
    my $canonical = join "\n", $method,
        uri_escape(uri_unescape($path), '/'), canonical_query($query // ''),
        (map { "$_:" . join(',', @{ $signed{$_} }) } sort keys %signed),
        '', $names, $o{sha256};
    my $string = join "\n", 'AWS4-HMAC-SHA256', $when, $scope,
        sha256_hex($canonical);
    my $key = signing_key($o{secret_key} // $self->{secret_key},
        substr($when, 0, 8), $region, $service);
    return ($string, $key, $scope, $names);
}

sub amz_date {
    my ($offset) = @_;
    return strftime('%Y%m%dT%H%M%SZ', gmtime(time() + ($offset || 0)));
}

# A target with query authentication; of another service the (empty) body is
# signed.
sub presign {
    my ($self, $method, $target, %o) = @_;
    my $when = $o{amz_date} // amz_date();
    my $region = $o{region} // $REGION;
    my $headers = [ [ Host => $o{host} // $self->host() ],
        @{ $o{headers} || [] } ];
    my $names = join ';', sort map { lc $_->[0] } @$headers;
    my $credential = join '/', $o{access_key} // $self->{access_key},
        substr($when, 0, 8), $region, $o{service} // 's3', 'aws4_request';
    my $query = join '&', 'X-Amz-Algorithm=AWS4-HMAC-SHA256',
        'X-Amz-Credential=' . uri_escape($credential), "X-Amz-Date=$when",
        'X-Amz-Expires=' . ($o{expires} // 600),
        'X-Amz-SignedHeaders=' . uri_escape($names);
    $target .= ($target =~ /\?/ ? '&' : '?') . $query;
    my ($string, $key) = $self->string_to_sign($method, $target, $headers,
        %o, amz_date => $when,
        sha256 => $o{service} ? $EMPTY_SHA256 : 'UNSIGNED-PAYLOAD');
    return "$target&X-Amz-Signature=" . hmac_sha256_hex($string, $key);
}

# --- requests -----------------------------------------------------------------

# Options: body, headers ([[name, value], ...]), sign (0: anonymous), sha256,
# amz_date, region, access_key, secret_key, unsigned ([names]), host,
# no_length, socket, raw (appended instead of the body), service (not S3's:
# then x-amz-content-sha256 is signed without being sent).
sub compose {
    my ($self, $method, $target, %o) = @_;
    my $body = $o{body} // '';
    my @headers = ([ Host => $o{host} // $self->host() ],
        @{ $o{headers} || [] });

    if ($o{sign} // 1) {
        my $when = $o{amz_date} // amz_date();
        my $sha256 = $o{sha256} // sha256_hex($body);
        push @headers, [ 'x-amz-date' => $when ];
        push @headers, [ 'x-amz-content-sha256' => $sha256 ] unless $o{service};
        my ($string, $key, $scope, $names) = $self->string_to_sign(
            $method, $target, \@headers, %o, amz_date => $when,
            sha256 => $sha256);
        $o{signature} = hmac_sha256_hex($string, $key);
        push @headers, [ Authorization => 'AWS4-HMAC-SHA256 Credential='
            . ($o{access_key} // $self->{access_key}) . "/$scope,"
            . "SignedHeaders=$names,Signature=$o{signature}" ];
        $self->{last} = { signature => $o{signature}, key => $key,
            scope => $scope, amz_date => $when };
    }
    push @headers, [ 'Content-Length' => length $body ]
        if !$o{no_length} && (length $body || $method =~ /^(PUT|POST)$/);
    return "$method $target HTTP/1.1\r\n"
        . join('', map { "$_->[0]: $_->[1]\r\n" } @headers) . "\r\n";
}

sub request {
    my ($self, $method, $target, %o) = @_;
    my $socket = $o{socket} || $self->connect();
    my $head = $self->compose($method, $target, %o);
    $self->write_all($socket, $head . ($o{raw} // $o{body} // ''));
    return $self->read_response($socket, $method);
}

sub get    { my $self = shift; return $self->request('GET', @_) }
sub head   { my $self = shift; return $self->request('HEAD', @_) }
sub put    { my $self = shift; return $self->request('PUT', @_) }
sub post   { my $self = shift; return $self->request('POST', @_) }
sub delete { my $self = shift; return $self->request('DELETE', @_) }

# A form for "iam" or "sts": fields as [name, value, ...].
sub query {
    my ($self, $service, $fields, %o) = @_;
    my @pairs = @$fields;
    my @form;
    push @form, uri_escape(shift @pairs) . '=' . uri_escape(shift @pairs)
        while @pairs;
    return $self->post('/', body => join('&', @form), service => $service, %o,
        headers => [ [ 'Content-Type' =>
            'application/x-www-form-urlencoded; charset=utf-8' ],
            @{ $o{headers} || [] } ]);
}

sub connect {
    my ($self) = @_;
    return IO::Socket::INET->new(PeerAddr => $self->host(), Timeout => 10)
        || die "connect: $!";
}

sub write_all {
    my ($self, $socket, $data) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $sent = 0;
    while ($sent < length $data) {
        my $n = syswrite $socket, $data, 65536, $sent;
        last unless defined $n;    # the server may answer early and close
        $sent += $n;
    }
}

# Reads one response: status, reason, headers (lower case), body, and of an
# error document code and message.  Keeps what follows for the next one.
sub read_response {
    my ($self, $socket, $method) = @_;
    my $buffer = \(${*$socket}{s3_rest} //= '');
    my %r = (headers => {}, list => [], body => '');

    while ($$buffer !~ /\r\n\r\n/) {
        fill($socket, $buffer) or return { status => 0, headers => {},
            body => '', error => 'closed' };
    }
    $$buffer =~ s/^(.*?)\r\n\r\n//s;
    parse_head(\%r, $1, 'HTTP/1.1');

    unless (($method // '') eq 'HEAD' || $r{status} =~ /^(1..|204|304)$/) {
        $self->read_body($socket, $buffer, \%r);
    }
    ($r{code}) = $r{body} =~ m{<Error>.*<Code>(.*?)</Code>}s;
    ($r{message}) = $r{body} =~ m{<Error>.*<Message>(.*?)</Message>}s;
    return \%r;
}

sub parse_head {
    my ($r, $text, $version) = @_;
    my ($first, @lines) = split /\r\n/, $text;
    (@$r{qw(status reason)}) = $first =~ m{^\Q$version\E (\d+) ?(.*)$}
        or die "bad status line: $first";
    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*)$/;
        push @{ $r->{list} }, [ $name, $value ];
        my $known = $r->{headers}{ lc $name };
        $r->{headers}{ lc $name } = defined $known ? "$known, $value" : $value;
    }
}

# The same over HTTP/2 and TLS: requests [method, authority, target, headers
# ...] that nobody signs, on one connection of curl's.  Returns the responses.
sub over_h2 {
    my ($self, $port, @requests) = @_;
    my $quote = sub { return $_[0] =~ s/([\\"])/\\$1/gr };
    my @parts;
    for my $i (0 .. $#requests) {
        my ($method, $authority, $target, @headers) = @{ $requests[$i] };
        push @parts, join '', map { "$_\n" } 'silent', 'insecure', 'http2',
            'path-as-is', 'globoff', 'max-time=60',
            qq(connect-to="::127.0.0.1:$port"),
            'url="https://' . $quote->("$authority$target") . '"',
            ($method eq 'HEAD' ? 'head' : qq(request="$method")),
            qq(dump-header="$self->{dir}/h2.$i.head"),
            qq(output="$self->{dir}/h2.$i.body"),
            map { 'header="' . $quote->("$_->[0]: $_->[1]") . '"' } @headers;
    }
    my $config = $self->write_file('h2.curl', join "next\n", @parts);
    system('curl', '-K', $config) == 0 or die "curl: $?";
    return map {
        my %r = (headers => {}, list => []);
        parse_head(\%r, $self->read_file("h2.$_.head"), 'HTTP/2');
        $r{body} = $requests[$_][0] eq 'HEAD' ? ''
            : $self->read_file("h2.$_.body");
        \%r;
    } 0 .. $#requests;
}

sub read_body {
    my ($self, $socket, $buffer, $r) = @_;
    my $length = $r->{headers}{'content-length'};

    if (lc($r->{headers}{'transfer-encoding'} // '') eq 'chunked') {
        while (1) {
            while ($$buffer !~ /\r\n/) {
                fill($socket, $buffer) or do { $r->{truncated} = 1; return };
            }
            $$buffer =~ s/^([0-9a-f]+)[^\r]*\r\n//i or die 'bad chunk';
            my $size = hex $1;
            while (length $$buffer < $size + 2) {
                fill($socket, $buffer) or do { $r->{truncated} = 1; return };
            }
            $r->{body} .= substr $$buffer, 0, $size;
            substr($$buffer, 0, $size + 2) = '';
            return if $size == 0;
        }
    }
    while (!defined $length || length $$buffer < $length) {
        next if fill($socket, $buffer);
        $r->{truncated} = 1 if defined $length;
        last;
    }
    my $size = defined $length && $length < length $$buffer
        ? $length : length $$buffer;
    $r->{body} = substr $$buffer, 0, $size, '';
}

sub fill {
    my ($socket, $buffer) = @_;
    die 'no answer within 60 s'
        unless $socket->isa('IO::Socket::SSL') && $socket->pending()
        || IO::Select->new($socket)->can_read(60);
    my $n = sysread $socket, $$buffer, 65536, length $$buffer;
    return $n;
}

# --- aws-chunked ----------------------------------------------------------------

# Frames a body as the SDKs do.  Options: chunk (bytes), signed, trailer
# ([name, value]), after compose() of the same request.
sub aws_chunked {
    my ($self, $body, %o) = @_;
    my $last = $self->{last};
    my $previous = $last->{signature};
    my $out = '';
    my $size = $o{chunk} || 65536;
    my @chunks = (unpack("(a$size)*", $body), '');

    for my $chunk (@chunks) {
        my $extension = '';
        if ($o{signed}) {
            $previous = hmac_sha256_hex(join("\n",
                'AWS4-HMAC-SHA256-PAYLOAD', $last->{amz_date}, $last->{scope},
                $previous, $EMPTY_SHA256, sha256_hex($chunk)), $last->{key});
            $extension = ";chunk-signature=$previous";
        }
        $out .= sprintf("%x%s\r\n", length $chunk, $extension);
        $out .= "$chunk\r\n" if length $chunk;
    }
    if (my $t = $o{trailer}) {
        $out .= "$t->[0]:$t->[1]\r\n";
        if ($o{signed}) {
            my $signature = hmac_sha256_hex(join("\n",
                'AWS4-HMAC-SHA256-TRAILER', $last->{amz_date}, $last->{scope},
                $previous, sha256_hex("$t->[0]:$t->[1]\n")), $last->{key});
            $out .= "x-amz-trailer-signature:$signature\r\n";
        }
    }
    return $out . "\r\n";
}

1;

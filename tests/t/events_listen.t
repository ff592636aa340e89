#!/usr/bin/perl

# Events for those who listen: s3ctl events tail, and the stream over HTTP
# that MinIO's clients ask for. No Redis is needed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::MD5 qw(md5_base64);
use IO::Select;
use JSON::PP;
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my ($build, $dir) = (Test::S3::build(), $t->dir());

sub name_of { my ($line) = @_;
    my $r = decode_json($line)->{Records}[0];
    return "$r->{eventName} $r->{s3}{bucket}{name}/$r->{s3}{object}{key}";
}

# The line that a listener gets next; it is not waited for in vain.
sub next_line {
    my ($file) = @_;
    die 'nothing came' unless can_read($file, 20);
    return scalar(<$file>) // die 'it has ended';
}

sub can_read {
    my ($file, $seconds) = @_;
    return IO::Select->new($file)->can_read($seconds);
}

# Until it hears: from here on it listens.
sub wait_listens {
    my ($file, $target) = @_;
    $t->wait_for('it listens', sub {
        $t->put($target);
        return can_read($file, 0.05);
    });
    my $line = next_line($file);
    next_line($file) while can_read($file, 0.1);
    return name_of($line);
}

sub tail {
    my (@options) = @_;
    my $pid = open my $f, '-|:unix', "$build/s3ctl", '-s', "$dir/admin.sock", 'events',
        'tail', @options or die "s3ctl: $!"; # unbuffered: can_read() is true
    return ($f, $pid);
}

# Listens over HTTP: (socket, header); a body is read chunk by chunk.
sub listen_to {
    my ($target, %options) = @_;
    my $socket = $t->connect();
    $t->write_all($socket, $t->compose('GET', $target, %options));
    my $header = '';
    while ($header !~ /\r\n\r\n/) {
        can_read($socket, 20) or die 'no header';
        sysread $socket, my $byte, 1 or die "no header: $header";
        $header .= $byte;
    }
    return ($socket, $header);
}

sub next_chunk {
    my ($socket) = @_;
    my $line = '';
    can_read($socket, 40) && sysread($socket, $line, 1, length $line)
        or die 'it has ended' until $line =~ /\r\n\z/;
    my $size = hex(substr $line, 0, -2) + 2;
    my $chunk = '';
    sysread($socket, $chunk, $size - length $chunk, length $chunk) or die 'cut'
        while length $chunk < $size;
    return substr $chunk, 0, -2;
}

sub in_flight { return $t->ctl('status')->{in_flight} }

is($t->put("/$_")->{status}, 200, $_) for 'bucket', 'other';

# --- s3ctl events tail
my ($all, $pid) = tail();
my ($some) = tail(qw(--bucket bucket --prefix a/ --suffix .jpg --event),
    's3:ObjectCreated:*', '--event', 's3:ObjectRemoved:Delete');
my $bad = `$build/s3ctl -s $dir/admin.sock events tail --event s3:None 2>&1`;
is($? >> 8, 1, 'an unknown type is refused');
like($bad, qr/^s3ctl: an event is a type such as/, 'and told');
is(wait_listens($some, '/bucket/a/0.jpg'), 'ObjectCreated:Put bucket/a/0.jpg',
    'one listens');
wait_listens($all, '/other/ready');
is($t->put('/bucket/a/1.jpg', body => 'abc')->{status}, 200, 'put');
is($t->put('/bucket/a/1.png')->{status}, 200, 'put');
my $tags = '<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet>'
    . '</Tagging>';
is($t->put('/bucket/a/1.jpg?tagging', body => $tags,
    headers => [ [ 'Content-MD5' => md5_base64($tags) . '==' ] ])->{status},
    200, 'tag');
is($t->delete('/bucket/a/1.jpg')->{status}, 204, 'delete');
is(join(', ', map { name_of(next_line($all)) } 1 .. 4),
    'ObjectCreated:Put bucket/a/1.jpg, ObjectCreated:Put bucket/a/1.png, '
    . 'ObjectTagging:Put bucket/a/1.jpg, ObjectRemoved:Delete bucket/a/1.jpg',
    'all of it');
my $line = next_line($some);
is(name_of($line), 'ObjectCreated:Put bucket/a/1.jpg', 'what was asked for');
is(decode_json($line)->{Records}[0]{s3}{object}{size}, 3, 'with its size');
is(name_of(next_line($some)), 'ObjectRemoved:Delete bucket/a/1.jpg', 'only');
is($t->put('/bucket/fails', sign => 0)->{status}, 403, 'a refused put');
is($t->put('/bucket/works')->{status}, 200, 'put');
is(name_of(next_line($all)), 'ObjectCreated:Put bucket/works',
    'what did not happen is not told');

# --- the stream over HTTP
my ($socket, $header) = listen_to('/bucket?events=s3%3AObjectCreated%3A%2A'
    . '&events=s3%3AObjectAccessed%3A%2A&prefix=b%2F&suffix=');
like($header, qr{^HTTP/1.1 200 OK\r\n}, 'it begins');
like($header, qr{^Content-Type: text/event-stream\r$}mi, 'as a stream');
unlike($header, qr/^Content-Length/mi, 'of no length');
$t->wait_for('it rests', sub { in_flight() == 0 });
is($t->put('/bucket/a/2')->{status}, 200, 'put');
is($t->put('/other/b/2')->{status}, 200, 'put');
is($t->put("/bucket/b/$_")->{status}, 200, 'put') for 1 .. 3;
is($t->delete('/bucket/b/1')->{status}, 204, 'delete');
is($t->put('/bucket/b/4')->{status}, 200, 'put');
my $heard = '';
$heard .= next_chunk($socket) until $heard =~ m{b/4.*\n};
is(join(', ', map { name_of($_) } split /\n/, $heard),
    join(', ', map { "ObjectCreated:Put bucket/b/$_" } 1 .. 4), 'heard');
my $keep_alive = '';
$t->wait_for('a blank', sub { $keep_alive = next_chunk($socket) }, 40)
    if $ENV{S3D_LONG_RUN};
is($keep_alive, $ENV{S3D_LONG_RUN} ? ' ' : '', 'it is kept alive');

# --- what is refused
my $r = $t->get('/bucket?events=s3%3ANothing');
is("$r->{status} $r->{code}", '400 InvalidArgument', 'an unknown type');
is($t->get('/bucket?events=s3%3AObjectCreated%3A%2A', sign => 0)->{status},
    403, 'an anonymous client');
$r = $t->get('/nowhere?events=s3%3AObjectCreated%3A%2A');
is("$r->{status} $r->{code}", '404 NoSuchBucket', 'no such bucket');
my $user = $t->ctl(qw(user add reader));

sub allow {
    my ($action, $resource) = @_;
    my $policy = $t->write_file('policy.json', '{"Version":"2012-10-17",'
        . "\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"$action\","
        . "\"Resource\":\"arn:aws:s3:::$resource\"}]}");
    $t->ctl(qw(user put-policy reader), $action =~ s/.*://r, $policy);
}
allow('s3:GetObject', 'bucket/*');
my %reader = (access_key => $user->{access_key},
    secret_key => $user->{secret_key});
is($t->get('/bucket/works', %reader)->{status}, 200, 'who may read');
is($t->get('/bucket?events=s3%3AObjectCreated%3A%2A', %reader)->{status}, 403,
    'may not listen');
allow('s3:ListenBucketNotification', 'bucket');
my ($allowed, $answer) =
    listen_to('/bucket?events=s3%3AObjectCreated%3A%2A', %reader);
like($answer, qr{^HTTP/1.1 200 OK\r\n}, 'but with the right it may');
is($t->get('/bucket?events=all')->{status}, 200, 'S3 knows no such argument');

# --- a client goes; another one stays to the end
close $allowed;
$t->wait_for('it has gone', sub {
    $t->put('/bucket/x'); # s3d sees it when nginx does
    return $t->read_file('s3d.log') =~ /ListenNotification.*499/;
});
is($t->put('/bucket/b/5')->{status}, 200, 'put');
like(next_chunk($socket), qr{"b/5"}, 'the other one still hears');
is($t->stop('s3d'), 0, 's3d stops at once');
is(next_chunk($socket), '', 'the stream has ended whole');
waitpid $pid, 0;
is($? >> 8, 3, 'tail says that s3d has gone');
$t->start_s3d();
$t->done();

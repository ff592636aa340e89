#!/usr/bin/perl

# The completion for bash: every command that --help names is completed word by
# word, and every option that it takes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp;
use Test::More;
use Test::S3;

my $s3ctl = Test::S3::build() . '/s3ctl';
my $help = `$s3ctl --help`;
my @commands = map { /^  ([a-z][a-z -]*?)(?: (?:[A-Z\[]|s3:).*?)?(?:  |$)/ ? $1 : () }
    grep { !/^  +-/ } split /\n/, $help =~ s/\n\n.*//sr;
cmp_ok(scalar(@commands), '>', 70, 'commands');
my %next;
for (@commands) {
    my @words = split / /;
    $next{ join ' ', @words[0 .. $_ - 1] }{ $words[$_] } = 1 for 0 .. $#words;
}

my $script = File::Temp->new();
print $script `$s3ctl completion bash`;
my @asked;
sub ask {
    my (@words) = @_;
    push @asked, \@words;
    printf $script "COMP_WORDS=(s3ctl %s); COMP_CWORD=%d; _s3ctl; echo \"\${COMPREPLY[*]}\"\n",
        join(' ', map { "'$_'" } @words), scalar @words;
}
my @places = sort keys %next;
ask(split(/ /), '') for @places;
ask(qw(user add bob --a));
ask(qw(--socket /x user add --path /y/ bob --pa));
ask(qw(import --j));
ask('--js');
ask(qw(--account), '');
ask(qw(user add --policy));
close $script;
my @got = split /\n/, `bash --norc $script`, -1;
is($? >> 8, 0, 'bash takes the script');
for my $place (@places) {
    my %choices = map { $_ => 1 } split / /, shift @got;
    is(join(' ', grep { !$choices{$_} } sort keys %{ $next{$place} }), '',
        "after s3ctl $place");
}
is(shift @got, '--access-key --account', 'options of a command');
is(shift @got, '--path', 'values of options are no words of a command');
is(shift @got, '--jobs --json', 'a command with options of its own');
is(shift @got, '--json', 'options of all commands');
is(shift @got, '', 'a value that is no file');
is(shift @got, '', 'options of other commands are not there');
is(system("$s3ctl completion zsh 2>/dev/null") >> 8, 2, 'another shell');

done_testing();

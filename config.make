# A rule for nginx's Makefile: the console's files as C.

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/s3/console.c: `echo $ngx_addon_dir/tools/embed $ngx_addon_dir/console/*`
	$ngx_addon_dir/tools/embed $ngx_addon_dir/console > \$@.new
	mv \$@.new \$@

END

#!/bin/sh
# The compiler of workspace members, for `relctl pack`. Two checkouts of an app make the same bytes,
# so fixed paths replace the folders of the workspace and of generated code, and the name and the
# version of the package replace cargo's -C metadata, which depends on the path of this file.
rustc=$1
shift
previous=
for arg do
    shift
    case $previous$arg in
        -Cmetadata=*) set -- "$@" "metadata=$CARGO_PKG_NAME-$CARGO_PKG_VERSION" ;;
        *) set -- "$@" "$arg" ;;
    esac
    previous=$arg
done
# The compiler uses the last prefix that fits.
exec "$rustc" "--remap-path-prefix=$RELD_WORKSPACE=/build" "$@" \
    ${OUT_DIR:+"--remap-path-prefix=$OUT_DIR=/generated/$CARGO_PKG_NAME"}

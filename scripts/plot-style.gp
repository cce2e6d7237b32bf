# SPDX-License-Identifier: BSD-3-Clause
# How every drawing of ours looks, for gnuplot: scripts/plot-bench and scripts/compare set `width` and `height` in pixels
# and load it.
set terminal svg size width,height dynamic noenhanced font "DejaVu Sans,13" background "#ffffff"
set border 3 lc rgb "#667085" lw 1
set tics nomirror textcolor rgb "#344054"
set grid ytics lc rgb "#e4e7ec" lw 1 lt 1
set style line 1 lc rgb "#175cd3" lw 2.5 pt 7 ps 0.6
set style line 2 lc rgb "#067647" lw 2.5 pt 7 ps 0.6
set style line 3 lc rgb "#b54708" lw 2.5 pt 7 ps 0.6
set style line 4 lc rgb "#6938ef" lw 2.5 pt 7 ps 0.6
set style line 5 lc rgb "#c11574" lw 2.5 pt 7 ps 0.6
set style line 6 lc rgb "#98a2b3" lw 2 dt 2 pt 6 ps 0.6
set style line 7 lc rgb "#d0d5dd" lw 2 dt 3 pt 6 ps 0.6

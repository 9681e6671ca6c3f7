"""Decision tables, as DMN defines them: rules whose cells are unary tests of S-FEEL, and a hit policy.

`feel` reads the text of a cell, `values` knows what values are and how they compare, `testing` says whether a value
passes a test, `columns` turns the cells of one input into masks, `table` decides, `document` reads a table, `analysis`
finds the cases that no rule or too many rules decide, `dmn` reads and writes DMN's XML. Plain Python; source: DMN 1.5,
chapters 8 and 9 (https://www.omg.org/spec/DMN/1.5).

Note [Masks]
Along one input only finitely many values can be told apart: the values that cells name, and the stretches between
them. For each of these pieces the column knows the rules whose cell accepts it, as the bits of an int. A decision looks
one piece up for each input and ANDs the masks: what is left are the rules that match. The same masks show gaps and
overlaps, so what decides and what is analysed cannot disagree. A cell that refers to another input has no pieces: its
bit is set everywhere, and is cleared by asking the cell when it comes to it.
"""

"""Operations: what commands ask of a control plane, in one table, the same in process and over HTTP. They print nothing."""

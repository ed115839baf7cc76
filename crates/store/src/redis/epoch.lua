-- Only begins the memory, if it has to. Returns M and `tail`.
return 'M' .. tail

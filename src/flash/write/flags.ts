// Numbers that a card's thread looks at while it is busy: [0] and [1] say that a buffer is in use, [2] that it is to stop.

export const FLAG = { stop: 2 } as const;
export const FLAGS = 3;

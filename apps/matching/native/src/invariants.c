#include "engine.h"
void validate(Engine *engine) { (void)engine; }

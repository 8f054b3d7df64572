"""One module for each way to get an answer; `services.chat.opening` picks one."""
